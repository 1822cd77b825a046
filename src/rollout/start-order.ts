import { UserError } from '../base/errors.ts';
import { again, option, words } from '../base/words.ts';
import type { KubeObject, Workload } from '../kube/objects.ts';
import type { PodWatch } from '../live/pod-watch.ts';
import { type Component, componentNamed } from '../plane/components/lookup.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/**
 * In which order a plane's components are started. Nothing needs it: they wait for each other. But whoever starts too
 * early takes processor time from the one that it waits for, and then tries again after a second, two, three. An API
 * server that dials etcd's service before kube-proxy knows it has its packets lost for 20 s.
 */
export interface StartOrder<T> {
  /** etcd, and everything that has pods already. */
  first: T[];
  /** What is to come when etcd starts: an API server. */
  apiServer: T[];
  /** What is to come when the API server answers. */
  clients: T[];
}

/** @param before the workload as it is; without pods it has to be started as one that is not there. Pure. */
export function startOrder<T extends KubeObject>(
  workloads: T[],
  before: (workload: T) => Workload | undefined,
): StartOrder<T> {
  const starts = (workload: T) => (before(workload)?.spec.replicas ?? 0) === 0;
  const order: StartOrder<T> = { first: [], apiServer: [], clients: [] };
  for (const workload of workloads) {
    const { startsAfter } = componentNamed(workload.metadata.name as Component);
    if (startsAfter === undefined || !starts(workload)) order.first.push(workload);
    else if (startsAfter === 'etcd') order.apiServer.push(workload);
    else order.clients.push(workload);
  }
  return order;
}

/**
 * Waits until etcd is about to run, which takes as long as making its volumes.
 *
 * @throws UserError with the cause when it cannot
 */
export async function waitEtcdStarts(watch: PodWatch, { reporter, timeout, signal }: Work): Promise<void> {
  await reporter.during('Starting etcd', (phase) =>
    waitFor({
      until: () => watch.etcdStarts,
      failure: () => watch.failure,
      now: () => watch.waitingFor() ?? '',
      phase,
      timeout,
      signal,
      every: 25,
      late: (after) =>
        new UserError({
          what: `etcd did not start within ${after}`,
          why: watch.waitingFor(),
          fix: words`${again}, it goes on where it stopped; give it longer with ${option('timeout')}`,
          anchor: 'not-available',
        }),
    }),
  );
}
