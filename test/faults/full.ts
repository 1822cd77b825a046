import { until } from '../../sandbox/process.ts';
import { openPlane } from '../../src/hosted.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { ConfigMap } from '../../src/kube/objects.ts';
import type { Place } from './place.ts';
import type { PlaneFault } from './plane-faults.ts';

const ballast = (number: number): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `ballast-${number}`, namespace: 'default' },
  data: { ballast: String(number % 10).repeat(1_000_000) },
});

/**
 * Somebody writes until etcd has no room for more. `status` says so and what to do, and when that was done, writes come
 * back.
 */
export function quotaReached(place: Place): PlaneFault {
  return {
    name: "etcd's quota reached",
    async happen() {
      const hosted = await (await openPlane(place.cluster)).connect();
      try {
        const written = await writeUntilFull(hosted);
        await until('a word of status about it', 60, async () =>
          /etcd is full .*etcd defrag/.test((await place.run(['status'])).stdout) ? true : undefined,
        );
        for (let number = 0; number < written; number++)
          await hosted.delete(ballast(0), `ballast-${number}`, 'default');
        const defrag = await place.run(['etcd', 'defrag']);
        if (defrag.code !== 0) throw new Error(`etcd defrag ended with ${defrag.code}: ${defrag.stderr}`);
        await until('an answer to a write after etcd defrag', 30, () => hosted.apply(ballast(0)));
        await hosted.delete(ballast(0), 'ballast-0', 'default');
      } finally {
        await hosted.close();
      }
    },
  };
}

/** @returns how many objects it took */
async function writeUntilFull(hosted: HostedCluster): Promise<number> {
  for (let number = 0; number < 2000; number++)
    try {
      await hosted.apply(ballast(number));
    } catch (error) {
      if (error instanceof ApiError && /database space exceeded/.test(error.message)) return number;
      throw error;
    }
  throw new Error('etcd took 2 GB and is not full');
}
