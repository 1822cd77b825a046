import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { Node } from '../../kube/objects.ts';
import { connectAsAdministrator } from '../../live/open.ts';
import { hostAndPort } from '../../plane/addresses.ts';
import { manifestFindings } from '../../plane/networks/manifest/findings.ts';
import type { DeployState } from './state.ts';

type NetworkSpec = Pick<ClusterSpec, 'network' | 'networkManifest' | 'childAssets'>;

/** Whether pods would get their network from something else than now. Pure. */
export function switchesNetwork(before: Partial<NetworkSpec>, after: NetworkSpec): boolean {
  const old = before.network ?? 'flannel';
  if (!after.childAssets || before.childAssets === false) return false;
  return old !== after.network || (old === 'manifest' && before.networkManifest !== after.networkManifest);
}

/**
 * Two drivers on one worker undo each other's routes and rules, and pods keep the addresses that the first one gave them. So workers
 * are emptied first.
 *
 * @throws UserError `network-switch` before anything is changed
 */
export async function demandNoWorkers(state: DeployState): Promise<void> {
  const { cluster, record, spec, addresses, bundle, asleep } = state;
  if (asleep)
    throw new UserError({
      what: words`the network of a plane that sleeps cannot change to ${field('network', spec.network)}`,
      why: 'nobody can be asked which workers it has',
      fix: words`wake it first: ${command('wake', cluster.namespace)}`,
      anchor: 'network-switch',
      kind: 'refused',
    });
  const hosted = await connectAsAdministrator(cluster, addresses, bundle!);
  try {
    const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
    if (items.length > 0) throw workersInTheWay(items, record.spec.network ?? 'flannel', spec.network);
  } finally {
    await hosted.close();
  }
}

function workersInTheWay(nodes: Node[], before: string, after: string): UserError {
  const names = nodes.map(({ metadata }) => metadata.name);
  return new UserError({
    what: words`the network cannot change from ${before} to ${field('network', after)} while the plane has workers: ${names.join(', ')}`,
    why: 'the routes, rules and interfaces of the first driver stay on a machine, and pods keep the addresses that it gave them, so neither network would work',
    fix: words`for each worker: kubectl drain ${names[0]!} --ignore-daemonsets --delete-emptydir-data; systemctl stop kubelet on it; kubectl delete node ${names[0]!}. Then deploy with ${field('network', after)}. Then on each machine: rm -rf /etc/cni/net.d /var/lib/kubelet/pki /var/lib/kubelet/kubeconfig, reboot, and let it join as a new worker (docs/networks.md)`,
    anchor: 'network-switch',
    kind: 'refused',
  });
}

/** Says what was found in somebody else's manifests. */
export function reportManifestFindings({ spec, addresses, held }: DeployState): void {
  for (const { says, warning } of manifestFindings(spec, hostAndPort(addresses.workerServer)))
    if (warning) held.reporter.warn(says);
    else held.reporter.line(says);
}
