import { workerMove } from '../access/worker-config.ts';
import { UserError } from '../base/errors.ts';
import { again, command, option, words } from '../base/words.ts';
import { dialledHosts } from '../hosted/dialled.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Node } from '../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../live/apply.ts';
import { updateRecord } from '../live/record.ts';
import { sealingOf } from '../live/sealed-ca.ts';
import { type HeldPlane, withPlane } from '../live/with-plane.ts';
import { ensureCertificates } from '../pki/certificates.ts';
import { certificateContext, renderExposure } from '../plane/render.ts';
import { rollOut } from '../rollout/roll-out.ts';
import type { Work } from '../ui/work.ts';

interface DropRequest {
  /** A name that the plane had before. */
  host: string;
  /** Whether workers may be locked out that still dial the name or cannot be asked. */
  evenIfDialled: boolean;
}

/**
 * Drops an earlier name of a plane: its rule in the ingress, and its place in the API server's certificate. A killed run
 * continues when it is run again, because the record loses the name last.
 *
 * @throws UserError `no-earlier-host`, `host-still-dialled`, and as withPlane
 */
export async function dropHost(cluster: InfraCluster, request: DropRequest, work: Work): Promise<void> {
  return withPlane(cluster, 'host drop', work, (plane) => drop(plane, request));
}

async function drop(plane: HeldPlane, { host, evenIfDialled }: DropRequest): Promise<void> {
  const { record, spec, addresses, held } = plane;
  const { cluster, reporter } = held;
  if (!addresses.earlierHosts.includes(host)) throw noEarlierHost(plane, host);
  const untold = await untoldWorkers(plane, host);
  if (untold.length > 0 && !evenIfDialled)
    throw new UserError({
      what: `${untold.length} workers were not seen to dial the plane at another name than ${host}`,
      why: untold.join(', '),
      fix: words`on every worker named: ${workerMove('tls').slice(1).join(' ')} Then ${again}; ${option('yes')} drops the name nevertheless, and locks out every client that dials it`,
      anchor: 'host-still-dialled',
      kind: 'refused',
    });
  if (untold.length > 0) reporter.warn(`locked out until they get the new name: ${untold.join(', ')}`);
  const earlierHosts = addresses.earlierHosts.filter((each) => each !== host);
  const without = { ...plane, record: { ...record, earlierHosts }, addresses: { ...addresses, earlierHosts } };
  const { exposure } = renderExposure(without.record, spec, {});
  await applyAll(cluster, record.planeId, exposure, await Existing.read(cluster), nothingApplied(), reporter);
  const { bundle } = await ensureCertificates(
    plane.bundle,
    certificateContext(cluster.namespace, spec, without.addresses),
    { keyType: spec.keyType, sealing: sealingOf(spec, cluster) },
  );
  await rollOut(cluster, without, bundle, ['kube-apiserver'], held);
  await updateRecord(held, (now) => ({ ...now, earlierHosts: earlierHosts.length > 0 ? earlierHosts : undefined }));
}

/** Workers whose kubelets count requests to the name, and those that cannot be asked; each with why. */
async function untoldWorkers(plane: HeldPlane, host: string): Promise<string[]> {
  const hosted = await plane.connect();
  try {
    const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
    const dialled = await dialledHosts(
      hosted,
      items.map(({ metadata }) => metadata.name),
    );
    return [...dialled].flatMap(([worker, at]) => {
      if (at === undefined) return [`${worker} (its kubelet cannot be asked)`];
      return at === host ? [`${worker} (dials ${host})`] : [];
    });
  } finally {
    await hosted.close();
  }
}

function noEarlierHost({ addresses, spec, held }: HeldPlane, host: string): UserError {
  const { namespace } = held.cluster;
  return new UserError({
    what:
      host === spec.host
        ? `${host} is the present name of the plane, and no earlier one`
        : `${host} is no earlier name of the plane in namespace "${namespace}"`,
    why:
      addresses.earlierHosts.length > 0
        ? `it answers at ${spec.host}, and still at ${addresses.earlierHosts.join(', ')}`
        : `it answers at ${spec.host} alone`,
    fix: words`look at: ${command('status', namespace)}`,
    anchor: 'no-earlier-host',
    kind: 'refused',
  });
}
