import { UserError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { isForbidden, isInvalid } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, PersistentVolumeClaim } from '../kube/objects.ts';
import { belongsTo, claimName } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { buildClaim, claimTemplate, type Storage, type Volume } from '../plane/storage.ts';
import type { Existing } from './apply.ts';
import { isOfEtcd } from './choose-storage.ts';

/**
 * Asks for more room for claims that are smaller than the plane's volumes are to be. Makes the claims of members that are
 * still to come, because the StatefulSet's template goes on asking for what it was made with.
 *
 * @returns the names of the claims that were enlarged
 * @throws UserError `storage-size` before anything is changed when the StorageClass, or the quota, does not allow it
 */
export async function growClaims(
  cluster: InfraCluster,
  existing: Existing,
  { planeId }: Pick<PlaneRecord, 'planeId'>,
  storage: Storage,
  members: number,
): Promise<string[]> {
  if (storage.kind === 'ephemeral') return [];
  // Claims that a StatefulSet makes have no owner from the beginning.
  if (storage.templateSize === undefined && !cluster.owner) return [];
  const claims = existing
    .ofKind<PersistentVolumeClaim>('PersistentVolumeClaim')
    .filter((claim) => belongsTo(claim, planeId) && isOfEtcd(claim));
  const wanted = parseQuantity(storage.size)!;
  const small = claims.filter(({ spec }) => parseQuantity(spec.resources.requests.storage)! < wanted);
  const larger = { spec: { resources: { requests: { storage: storage.size } } } };
  const patch = (claim: KubeObject, dryRun: boolean) => cluster.merge(claim, claim.metadata.name, larger, { dryRun });
  try {
    // All of them are tried first: half of a growth helps nobody.
    for (const claim of small) await patch(claim, true);
  } catch (error) {
    if (!isForbidden(error) && !isInvalid(error)) throw error;
    throw cannotGrow(cluster.namespace, storage, (error as Error).message);
  }
  for (const claim of small) await patch(claim, false);
  const template = claimTemplate(planeId, storage);
  for (let member = 0; member < members; member++) {
    const name = claimName(member);
    if (claims.some(({ metadata }) => metadata.name === name)) continue;
    const { spec } = buildClaim(name, storage);
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { ...template.metadata, name },
      spec,
    });
  }
  return small.map(({ metadata }) => metadata.name);
}

function cannotGrow(namespace: string, { size }: Volume, why: string): UserError {
  return new UserError({
    what: `the volumes of etcd cannot grow to ${size}`,
    why,
    fix: words`leave ${field('etcdStorage')} as it was (${option('reset', field('etcdStorage'))}), or ask the administrator of the infra cluster whether the StorageClass may have allowVolumeExpansion; to move to other volumes: ${command('backup create', namespace, 'FILE')}, ${command('destroy', namespace)}, ${command('restore', namespace, 'FILE', field('etcdStorage', size))}`,
    anchor: 'storage-size',
    kind: 'refused',
  });
}
