import type { Workload } from '../kube/objects.ts';
import { type Applied, type Existing, nothingApplied } from '../live/apply.ts';
import type { Held } from '../live/held.ts';
import type { Plane } from '../live/open.ts';
import { podsOf } from '../live/pods.ts';
import type { HeldPlane } from '../live/with-plane.ts';
import type { BesidePlane } from '../plane/beside/beside.ts';
import { type Beside, besideOf, inOrderOfMaking } from '../plane/beside/lookup.ts';
import { ensureBeside, hasBeside } from '../rollout/beside.ts';
import type { Step } from '../rollout/steps.ts';
import { scale } from '../rollout/stop.ts';
import { demandApart } from './worker-pods/apart.ts';
import { ensureWorkerPods, type WorkerPodsOf } from './worker-pods/ensure.ts';
import { awaitWorkerPods } from './worker-pods/ready.ts';

/** A plane in a deploy, whose hosted API answers. */
interface Deployed extends WorkerPodsOf, Pick<Plane, 'storage'> {
  existing: Existing;
  applied: Applied;
  held: Held;
}

/** Clients of the hosted API need more than their objects; all others are made and woken as the table of plane/beside/ says. */
const ownWays: Partial<
  Record<Beside, { make(plane: Deployed): Promise<void>; wake(plane: HeldPlane): Promise<void> }>
> = { 'worker-pod': { make: makeWorkerPods, wake: wakeWorkerPods } };

/** A step of deploy for each thing that stands beside a plane. */
export const stepsBeside: Step<Deployed>[] = inOrderOfMaking.map((beside) => ({
  name: beside.name,
  applies: ({ spec, existing }) => beside.replicas(spec) > 0 || hasBeside(beside, existing),
  run: (plane) => ownWays[beside.name]?.make(plane) ?? makeByTable(beside, plane),
}));

async function makeByTable(beside: BesidePlane<Beside>, plane: Deployed): Promise<void> {
  await ensureBeside(beside, plane, plane.applied, plane.held);
}

async function makeWorkerPods(plane: Deployed): Promise<void> {
  const { cluster, record, spec, applied, held } = plane;
  if (spec.workerPods > 0) demandApart(spec, await podsOf(cluster, record.planeId));
  await ensureWorkerPods(plane, applied, held);
  await awaitWorkerPods(plane, held);
}

/** Nothing waits for them: what keeps the logs reads what was written before it came. @param workloads of the plane */
export async function wakeBeside(plane: HeldPlane, workloads: Workload[]): Promise<void> {
  for (const { name, replicas } of inOrderOfMaking) {
    const own = workloads.filter((workload) => besideOf(workload)?.name === name);
    await (ownWays[name]?.wake(plane) ?? scale(plane.held.cluster, own, () => replicas(plane.spec)));
  }
}

/** Their token may have ended while the plane slept. */
async function wakeWorkerPods(plane: HeldPlane): Promise<void> {
  const { spec, held } = plane;
  if (spec.workerPods === 0) return;
  const hosted = await plane.connect({ wakes: true });
  try {
    await ensureWorkerPods({ ...plane, cluster: held.cluster, hosted }, nothingApplied(), held);
  } finally {
    await hosted.close();
  }
}
