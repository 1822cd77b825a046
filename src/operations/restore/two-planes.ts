import { lookForOldPlane } from '../../backup/old-plane.ts';
import type { VerifiedBackup } from '../../backup/verify.ts';
import { UserError } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { InfraCluster } from '../../kube/infra-cluster.ts';
import { readRecord } from '../../live/record.ts';
import { trusted } from '../../pki/authority.ts';
import { readBundle } from '../../plane/secrets.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';

interface Claims extends Pick<Work, 'reporter' | 'signal'> {
  /** Another host than the plane had. */
  asNewHost?: string;
  /** Somebody says that the old plane is down, where its addresses do not tell. */
  oldPlaneIsDown: boolean;
}

/**
 * Of the plane of the backup in another namespace of this infra cluster, where that may be read.
 *
 * @throws UserError `old-plane-alive`
 */
export async function refuseElsewhere(cluster: InfraCluster, { head }: Pick<VerifiedBackup, 'head'>): Promise<void> {
  if (head.namespace !== cluster.namespace && (await isThere(cluster, head)))
    throw alive(cluster, head, `is still in namespace ${head.namespace}`, true);
}

async function isThere(cluster: InfraCluster, { namespace, record }: VerifiedBackup['head']): Promise<boolean> {
  // One that just does not answer may do so in a moment.
  const there = await readRecord(new InfraCluster(cluster.transport, namespace)).catch(() => undefined);
  return there?.planeId === record.planeId;
}

/**
 * Two planes of one authority would both be obeyed, and each would write what the other does not know.
 *
 * @param destroyed whether it was this run that took the plane of the backup away: what is silent by now, it has ended itself
 * @throws UserError `old-plane-alive`
 */
export async function refuseTwoPlanes(
  cluster: InfraCluster,
  { head, secrets }: Pick<VerifiedBackup, 'head' | 'secrets'>,
  { oldPlaneIsDown, asNewHost, reporter, signal }: Claims,
  destroyed = false,
): Promise<void> {
  const authority = trusted(readBundle(secrets)!.authorities.ca!);
  const look = () => lookForOldPlane(head, authority, cluster.transport.connection.proxies);
  let { alive: answering, silent } = await look();
  // An ingress controller goes on dialling the pods of a plane that was just deleted for some seconds.
  if (answering.length === 0 && silent.length > 0 && !oldPlaneIsDown && !destroyed)
    await waitAtMost({
      until: async () => {
        ({ alive: answering, silent } = await look());
        return answering.length > 0 || silent.length === 0;
      },
      timeout: 10_000,
      signal,
      every: 1000,
    });
  if (answering.length > 0)
    throw alive(cluster, head, `still answers at ${answering.join(' and ')}`, await isThere(cluster, head));
  await refuseElsewhere(cluster, { head });
  if (destroyed) return;
  const { publicServer } = head.addresses;
  if (silent.length > 0 && !oldPlaneIsDown)
    throw new UserError({
      what: `it cannot be seen from here whether the plane that was backed up is down`,
      why: `nothing answers at ${silent.join(' and ')}, which may be because of the network`,
      fix: words`make sure that it is down and stays so, and add ${option('oldPlaneIsDown')}`,
      anchor: 'old-plane-alive',
      kind: 'refused',
    });
  if (silent.includes(publicServer) && asNewHost === undefined)
    reporter.warn(
      `nothing answers at ${publicServer}: let ${head.record.spec.host} lead to this infra cluster, here and for workers; the plane is waited for there`,
    );
}

/** @param here whether its namespace is one of this infra cluster */
function alive(cluster: InfraCluster, { namespace }: VerifiedBackup['head'], how: string, here: boolean): UserError {
  const destroyIt = command('destroy', namespace);
  return new UserError({
    what: `the plane that was backed up ${how}`,
    why: 'clients take two planes with the same CAs for one, and each plane would lack the writes to the other',
    fix: here
      ? words`take it away first: ${destroyIt}`
      : words`take it away first: ${destroyIt}, with the kubeconfig of the infra cluster in which it was backed up, where that is another one than ${cluster.server}`,
    anchor: 'old-plane-alive',
    kind: 'refused',
  });
}
