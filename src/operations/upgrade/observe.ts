import { workerStatus } from '../../hosted/workers.ts';
import type { Node } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { isBeside } from '../../plane/beside/lookup.ts';
import { containersOf } from '../../plane/components/lookup.ts';
import { planeSelector } from '../../plane/names.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import type { UpgradeState } from './state.ts';

/** Workers are Ready at the end as at the beginning, and no container of the plane ended in between. @throws what is not so */
export async function observe(state: UpgradeState): Promise<void> {
  const { hosted, plane, watch, observe: timeout, readyWorkers } = state;
  const existing = await Existing.read(plane.held.cluster);
  const workloads = [...existing.ofKind('Deployment'), ...existing.ofKind('StatefulSet')];
  watch.expect(workloads.filter((workload) => !isBeside(workload)));
  const before = await restarts(state);
  await waitAtMost({
    until: async () => {
      if (watch.failure) throw watch.failure;
      const { ready, failing } = await hosted.ready(3000);
      if (!ready) throw new Error(`the API server is not ready any more: ${failing.join(', ')}`);
      return false;
    },
    timeout,
    signal: plane.held.signal,
    every: Math.min(500, timeout),
  });
  const ended = [...(await restarts(state))].find(([container, count]) => count > (before.get(container) ?? count));
  if (ended) throw new Error(`the container ${ended[0]} ended after it had been ready`);
  const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
  const ready = items.map(workerStatus).filter((worker) => worker.ready).length;
  if (ready < readyWorkers) throw new Error(`only ${ready} of ${readyWorkers} workers are still Ready`);
}

/** How often each container of the plane was started again, by pod and container; not those that a policy of the namespace added. */
async function restarts({ plane }: UpgradeState): Promise<Map<string, number>> {
  const { items } = await plane.held.cluster.pods(planeSelector(plane.record.planeId));
  return new Map(
    items.flatMap(({ metadata, status }) => {
      if (isBeside({ metadata })) return [];
      const own = containersOf(metadata.labels?.['app.kubernetes.io/name'] ?? '');
      return (status?.containerStatuses ?? [])
        .filter(({ name }) => own.includes(name))
        .map(({ name, restartCount }): [string, number] => [`${metadata.name}/${name}`, restartCount ?? 0]);
    }),
  );
}
