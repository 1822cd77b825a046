import { imagesOf } from '../config/images.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, Pod } from '../kube/objects.ts';
import { podLike, runOnce } from '../live/image-trial.ts';
import { isReady, podsOf } from '../live/pods.ts';
import { updateRecord } from '../live/record.ts';
import { type HeldPlane, withPlane } from '../live/with-plane.ts';
import type { Addresses } from '../plane/addresses.ts';
import type { PlaneComponent } from '../plane/components/component.ts';
import { components } from '../plane/components/table.ts';
import { recordName } from '../plane/names.ts';
import type { NetworkFinding } from '../plane/record.ts';
import { renderPlane } from '../plane/render.ts';
import type { Work } from '../ui/work.ts';

/** A port of a pod of the plane, and whether the policies let everybody reach it. */
interface Target {
  component: string;
  host: string;
  port: number;
  open: boolean;
}

export type Attempt = Pick<Target, 'component' | 'open'> & { reached: boolean };

/** What everybody may reach is there to tell a policy from a network that leads nowhere. Pure. */
export function judgeNetwork(attempts: Attempt[]): Pick<NetworkFinding, 'policies' | 'reached'> {
  const reached = [...new Set(attempts.filter((each) => each.reached && !each.open).map(({ component }) => component))];
  if (reached.length > 0) return { policies: 'not enforced', reached };
  const closed = attempts.some(({ open }) => !open);
  const leads = attempts.some((each) => each.open && each.reached);
  return { policies: closed && leads ? 'enforced' : 'unknown', reached };
}

/**
 * Tries from a pod that no policy lets through whether it reaches the plane's components, and notes in the record what was
 * found.
 *
 * @throws UserError `plane-asleep`, `plane-busy`, `image-trial`
 */
export async function probeNetwork(cluster: InfraCluster, work: Work): Promise<void> {
  await withPlane(cluster, 'network probe', work, probe, { phase: 'any' });
}

function probe(plane: HeldPlane): Promise<void> {
  const { record, spec, addresses, held } = plane;
  const { cluster } = held;
  return held.reporter.during('Trying whether network policies are enforced', async () => {
    const pods = (await podsOf(cluster, record.planeId)).filter(isReady);
    const targets = pods.flatMap((pod) => targetsOf(pod, addresses));
    const owner = (await cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName))!;
    const scheduler = renderPlane(plane).workloads['kube-scheduler'];
    const container = {
      name: 'network',
      image: imagesOf(spec).node,
      command: ['node', '-e', dial, JSON.stringify(targets)],
    };
    const said = await runOnce(cluster, podLike(scheduler, owner, container), held);
    const found = judgeNetwork(said === undefined ? [] : (JSON.parse(said) as Attempt[]));
    const network = { ...found, at: new Date().toISOString() };
    await updateRecord(held, (now) => ({ ...now, network }));
  });
}

/** Where a pod of a component is tried; nowhere, for a pod of none. Pure. */
export function targetsOf({ metadata, status }: Pod, addresses: Addresses): Target[] {
  const component = metadata.labels?.['app.kubernetes.io/name'] ?? '';
  const reachedAt = (components as readonly PlaneComponent[]).find(({ name }) => name === component)?.reachedAt;
  if (!reachedAt || !status?.podIP) return [];
  return [{ component, host: status.podIP, port: reachedAt.port(addresses), open: reachedAt.byEverybody }];
}

/** Runs in the pod: whether a TCP connection comes about within 3 s. */
const dial = `
const net = require('node:net');
const reached = ({ host, port }) => new Promise((resolve) => {
  const socket = net.connect({ host, port, timeout: 3000 });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.on('connect', () => end(true)).on('timeout', () => end(false)).on('error', () => end(false));
});
Promise.all(JSON.parse(process.argv[1]).map(async (target) => (
  { component: target.component, open: target.open, reached: await reached(target) }
))).then((attempts) => console.log(JSON.stringify(attempts)));`;
