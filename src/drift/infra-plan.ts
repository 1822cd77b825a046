import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type Secret, type Service } from '../kube/objects.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../live/apply.ts';
import { chooseStorage } from '../live/choose-storage.ts';
import { readOpened, sealingOf } from '../live/sealed-ca.ts';
import { ensureCertificates, type PkiBundle } from '../pki/certificates.ts';
import { type Addresses, addressesOf, buildIngress, buildServices } from '../plane/addresses.ts';
import { buildPolicies } from '../plane/policies.ts';
import { type PlaneRecord, toConfigMap } from '../plane/record.ts';
import { buildControlPlane, certificateContext } from '../plane/render.ts';
import { quietReporter } from '../ui/quiet.ts';
import { isOfSameMoment, undisturbed } from './same-moment.ts';

export interface InfraPlan {
  applied: Applied;
  /** What the namespace held at the moment of the dry run. */
  before: Existing;
  /** Everything of the plane in the infra cluster, as the server would have it after a deploy. */
  objects: KubeObject[];
  addresses: Addresses;
  bundle: PkiBundle;
}

/** Sends what deploy would send as a dry run, the record as it is given. */
export function planInfra(cluster: InfraCluster, record: PlaneRecord, spec: ClusterSpec): Promise<InfraPlan> {
  return undisturbed(
    async () => planOver(await Existing.read(cluster), cluster, record, spec),
    ({ before, objects }) => objects.every((object) => isOfSameMoment(before.find(object), object)),
  );
}

async function planOver(
  existing: Existing,
  cluster: InfraCluster,
  record: PlaneRecord,
  spec: ClusterSpec,
): Promise<InfraPlan> {
  const { storage, replaces } = await chooseStorage(cluster, spec, existing, record);
  const applied = nothingApplied();
  const apply = (objects: KubeObject[]) =>
    applyAll(cluster, record.planeId, objects, existing, applied, quietReporter, true);
  const first = await apply([...buildServices(record.planeId, spec), ...buildIngress(record.planeId, spec)]);
  const services = first.filter((object) => object.kind === 'Service') as Service[];
  const addresses = addressesOf(spec, services, record.issuers);
  const { bundle } = await ensureCertificates(
    await readOpened(cluster, existing.ofKind<Secret>('Secret')),
    certificateContext(cluster.namespace, spec, addresses),
    { keyType: spec.keyType, sealing: sealingOf(spec, cluster) },
  );
  const { secrets, workloads } = buildControlPlane(record, spec, addresses, storage, bundle);
  // One that is to be deleted first cannot be tried.
  const anew = replaces ? workloads.filter(({ kind }) => kind === 'StatefulSet') : [];
  applied.changed.push(...anew.map(nameOf));
  const second = await apply([
    toConfigMap({ ...record, issuers: addresses.issuers }),
    ...secrets,
    ...buildPolicies(record.planeId, spec),
    ...workloads.filter((object) => !anew.includes(object)),
  ]);
  return { applied, before: existing, objects: [...first, ...second], addresses, bundle };
}
