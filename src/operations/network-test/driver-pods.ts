import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod } from '../../kube/objects.ts';
import { isReady } from '../../live/pods.ts';
import { RowFailure, type TestSetup } from './setup.ts';
import { whyNot } from './started.ts';

/** Milliseconds after which pods are looked at again: one that fails at its start is Ready until it ends. */
const apart = 4000;

/**
 * Whether the network's driver runs on every worker of the test. Without its pods what they made works on, until a worker or a pod
 * network is new.
 *
 * @returns what was seen
 * @throws RowFailure naming a pod that does not run, with its last words
 */
export async function driverPods(setup: TestSetup): Promise<string> {
  const before = await running(setup);
  await sleep(apart, undefined, { signal: setup.signal });
  const after = await running(setup);
  const ended = [...after.keys()].find((name) => after.get(name)! > (before.get(name) ?? 0));
  if (ended !== undefined) throw new RowFailure(`pod kube-system/${ended} of the driver ends again and again`);
  return [...after.keys()].join(', ');
}

/** @returns how often each of the driver's pods was restarted, by its name */
async function running({ hosted, driver, workers }: TestSetup): Promise<Map<string, number>> {
  const apps = driver.apps ?? [];
  const { items } = await hosted.list<Pod>(
    { apiVersion: 'v1', kind: 'Pod' },
    { namespace: 'kube-system', labelSelector: `k8s-app in (${apps.join(',')})` },
  );
  const restarts = new Map<string, number>();
  for (const { name } of workers)
    for (const app of apps) {
      const own = items.filter(
        ({ metadata, spec }) =>
          spec.nodeName === name && metadata.labels?.['k8s-app'] === app && !metadata.deletionTimestamp,
      );
      if (own.length === 0) throw new RowFailure(`no pod of ${app} runs on ${name}`);
      for (const pod of own) {
        const { name: podName } = pod.metadata;
        const containers = (pod.spec.containers ?? []).map((each) => each.name);
        if (!isReady(pod))
          throw new RowFailure(`pod kube-system/${podName} of the driver on ${name}: ${whyNot(pod, containers)}`);
        restarts.set(podName, (pod.status?.containerStatuses ?? []).reduce(countRestarts, 0));
      }
    }
  return restarts;
}

const countRestarts = (sum: number, { restartCount }: { restartCount?: number }) => sum + (restartCount ?? 0);
