import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { driverObjects, earlierDriverObjects } from '../../hosted/addons/addons.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import { type KubeObject, type Node, nameOf } from '../../kube/objects.ts';
import { connectAsAdministrator } from '../../live/open.ts';
import { hostAndPort } from '../../plane/addresses.ts';
import { partOf } from '../../plane/names.ts';
import { manifestFindings } from '../../plane/networks/manifest/findings.ts';
import type { DeployState } from './state.ts';

type NetworkSpec = Pick<ClusterSpec, 'network' | 'networkManifest' | 'childAssets'>;

/**
 * Whether pods would get their network from something else than now, as far as the record says it. Without child assets nobody knows
 * what makes the network, so each driver that comes after that may be another one. Pure.
 */
export function switchesNetwork(before: Partial<NetworkSpec>, after: NetworkSpec): boolean {
  if (endsLeavingAlone(before, after)) return after.network !== 'none';
  const old = before.network ?? 'flannel';
  if (!after.childAssets || before.childAssets === false) return false;
  return old !== after.network || (old === 'manifest' && before.networkManifest !== after.networkManifest);
}

/** Whether the hosted cluster has been left alone, and is no longer. Pure. */
export function endsLeavingAlone(before: Partial<NetworkSpec>, after: Pick<NetworkSpec, 'childAssets'>): boolean {
  return before.childAssets === false && after.childAssets;
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
    await demandSameNetwork(hosted, record.spec, spec);
  } finally {
    await hosted.close();
  }
}

/** @throws UserError `network-switch` where there are Nodes, and a network that is not known to be that of `after` */
export async function demandSameNetwork(
  hosted: HostedCluster,
  before: Partial<NetworkSpec>,
  after: ClusterSpec,
): Promise<void> {
  const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
  if (items.length === 0) return;
  const wasLeftAlone = endsLeavingAlone(before, after);
  if (wasLeftAlone && (await isInPlace(hosted, after))) return;
  throw workersInTheWay(items, wasLeftAlone ? undefined : (before.network ?? 'flannel'), after.network);
}

/** Whether k8sk8s put this very driver into the hosted cluster earlier, and it has been there since. */
async function isInPlace(hosted: HostedCluster, spec: ClusterSpec): Promise<boolean> {
  const agents = driverObjects(spec).filter(({ kind }) => kind === 'DaemonSet');
  const there = await Promise.all(agents.map((each) => isOurs(hosted, each)));
  return there.length > 0 && there.every(Boolean);
}

/**
 * Takes away the objects of drivers that `--no-child-assets` left in the hosted cluster. They are known by their names and by the label
 * of k8sk8s: which driver it was is not in the record, and somebody else's objects may have the same names.
 */
export async function removeEarlierDrivers({ hosted, record, spec, held }: DeployState): Promise<void> {
  for (const object of earlierDriverObjects(record.spec, spec)) {
    held.signal.throwIfAborted();
    if (!(await isOurs(hosted, object))) continue;
    if (await hosted.delete(object, object.metadata.name, object.metadata.namespace))
      held.reporter.line(`${nameOf(object)} deleted`);
  }
}

async function isOurs(hosted: HostedCluster, object: KubeObject): Promise<boolean> {
  const found = await hosted.get(object, object.metadata.name, object.metadata.namespace);
  return found?.metadata.labels?.['app.kubernetes.io/part-of'] === partOf;
}

function workersInTheWay(nodes: Node[], before: string | undefined, after: string): UserError {
  const names = nodes.map(({ metadata }) => metadata.name);
  const steps = words`for each worker: kubectl drain ${names[0]!} --ignore-daemonsets --delete-emptydir-data; systemctl stop kubelet on it; kubectl delete node ${names[0]!}. Then deploy with ${field('network', after)}. Then on each machine: rm -rf /etc/cni/net.d /var/lib/kubelet/pki /var/lib/kubelet/kubeconfig, reboot, and let it join as a new worker (docs/networks.md)`;
  const known = before !== undefined;
  return new UserError({
    what: known
      ? words`the network cannot change from ${before} to ${field('network', after)} while the plane has workers: ${names.join(', ')}`
      : words`${field('network', after)} cannot be put in place while the plane has workers, whose network is not known: ${names.join(', ')}`,
    why: known
      ? 'the routes, rules and interfaces of the first driver stay on a machine, and pods keep the addresses that it gave them, so neither network would work'
      : words`the plane was deployed with ${field('childAssets')}, so another driver may run on the workers, and two drivers undo each other's routes and rules`,
    fix: known
      ? steps
      : words`to keep the network that the workers have, deploy with ${field('network', 'none')}. For the other one, delete the objects of the driver that you installed, and ${steps}`,
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
