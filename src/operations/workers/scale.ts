import { UserError } from '../../base/errors.ts';
import { words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { buildAddons } from '../../hosted/addons/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import { ensureWorkerPods, type WorkerPodsOf, workerPodsDanger } from '../../hosted/worker-pods/ensure.ts';
import { awaitWorkerPods } from '../../hosted/worker-pods/ready.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type Applied, nothingApplied } from '../../live/apply.ts';
import { updateRecord } from '../../live/record.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import { driverOf } from '../../plane/networks/table.ts';
import { demandForWorkerPods } from '../../preflight/deploy-checks.ts';
import type { Work } from '../../ui/work.ts';

export interface ScaleResult {
  before: number;
  workerPods: number;
  /** Whether the Nodes of all of them are Ready. */
  ready: boolean;
  applied: Applied;
}

/**
 * Changes the number of a plane's worker pods, and nothing else of it. Killed anywhere and run again, it goes on, and so does
 * deploy.
 *
 * @throws UserError `bad-values`, `worker-drain`, what preflight finds against more of them, and as withPlane
 */
export async function scaleWorkers(cluster: InfraCluster, count: number, work: Work): Promise<ScaleResult> {
  return withPlane(cluster, 'workers scale', work, (plane) => scale(plane, count));
}

async function scale(plane: HeldPlane, count: number): Promise<ScaleResult> {
  const { held, addresses, bundle } = plane;
  const spec = specOf(plane, count);
  const before = plane.spec.workerPods;
  if (count > before) await demandForWorkerPods(held.cluster, spec, held.reporter);
  if (count > 0) held.reporter.warn(workerPodsDanger);
  const applied = nothingApplied();
  const hosted = await plane.connect();
  try {
    await hosted.version();
    // Before the record says so: where this run is killed in between, the next one does it again.
    if (reach(spec) !== reach(plane.spec))
      await applyAddons(hosted, buildAddons(spec, addresses, bundle.authorities), applied, held);
    await updateRecord(held, (now) => ({ ...now, spec: { ...now.spec, workerPods: count } }));
    const scaled: WorkerPodsOf = { ...plane, spec, cluster: held.cluster, hosted };
    await ensureWorkerPods(scaled, applied, held);
    return { before, workerPods: count, ready: await awaitWorkerPods(scaled, held), applied };
  } finally {
    await hosted.close();
  }
}

/** A driver may reach workers that are pods at other ports than machines. */
const reach = (spec: ClusterSpec) => driverOf(spec).reach(spec).join();

function specOf({ spec, held }: HeldPlane, count: number): ClusterSpec {
  if (count > 0 && spec.workerImage === undefined)
    throw new UserError({
      what: `the plane in namespace "${held.cluster.namespace}" has no image for worker pods`,
      fix: words`deploy it with ${field('workerPods', count)} and ${field('workerImage', 'IMAGE')} once; Dockerfile.worker makes the image`,
      anchor: 'bad-values',
      kind: 'refused',
    });
  return parseSpec({ ...spec, workerPods: count, allowUntestedVersion: true }, 'with that many worker pods');
}
