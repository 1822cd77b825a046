import { ApiError } from '../../src/kube/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { ConfigMap, Pod } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { waitUntil } from '../../src/sandbox/process.ts';
import type { Place } from './place.ts';
import { anyOf, isReady, type PlaneFault, someSeconds } from './plane-faults.ts';

const ballast = (number: number): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `ballast-${number}`, namespace: 'default' },
  data: { ballast: String(number % 10).repeat(1_000_000) },
});

/**
 * How many objects are written while a volume is full: less than etcd's quota, and more than the log files that etcd has
 * allocated before.
 */
const largeObjects = 150;

/** This fault comes last, because members keep the small volumes that it gives them. */
export function volumesFilled(place: Place): PlaneFault[] {
  return [
    volumesFull(place, 'the volume of one member full', (members, random) => [anyOf(members, random)]),
    volumesFull(place, 'the volumes of all members full', (members) => members),
  ];
}

/**
 * Writes large objects while the file systems of the members `which` are full: the log files that etcd has allocated before are
 * soon used up.
 */
function volumesFull(place: Place, name: string, which: (members: Pod[], random: () => number) => Pod[]): PlaneFault {
  return {
    name,
    async happen(plane, random) {
      const chosen = which(await plane.pods('etcd'), random);
      const volumes = await plane.smallVolumes(chosen);
      const names = new Set(chosen.map(({ metadata }) => metadata.name));
      await Promise.all(volumes.map(({ fill }) => fill()));
      const hosted = await (await openPlane(place.cluster)).connect();
      try {
        let number = 0;
        await waitUntil('the end of all members with full volumes', 120, async () => {
          const pods = await plane.pods('etcd');
          if (!pods.some((pod) => names.has(pod.metadata.name) && isReady(pod))) return true;
          // The write is refused when too few members are left.
          if (number < largeObjects) await hosted.apply(ballast(number++)).catch(() => undefined);
          return undefined;
        });
        await someSeconds(random);
      } finally {
        for (const { free } of volumes) free();
        await hosted.close();
      }
    },
  };
}

/** Fills etcd to its quota. `status` has to say so and what to do, and after that writes have to succeed again. */
export function quotaReached(place: Place): PlaneFault {
  return {
    name: "etcd's quota reached",
    async happen() {
      const hosted = await (await openPlane(place.cluster)).connect();
      try {
        const written = await writeUntilFull(hosted);
        await waitUntil('status to report it', 60, async () =>
          /etcd is full .*etcd defrag/.test((await place.run(['status'])).stdout) ? true : undefined,
        );
        for (let number = 0; number < written; number++)
          await hosted.delete(ballast(0), `ballast-${number}`, 'default');
        const defrag = await place.run(['etcd', 'defrag']);
        if (defrag.code !== 0) throw new Error(`etcd defrag ended with ${defrag.code}: ${defrag.stderr}`);
        await waitUntil('an answer to a write after etcd defrag', 30, () => hosted.apply(ballast(0)));
        await hosted.delete(ballast(0), 'ballast-0', 'default');
      } finally {
        await hosted.close();
      }
    },
  };
}

/** @returns how many objects were written */
async function writeUntilFull(hosted: HostedCluster): Promise<number> {
  for (let number = 0; number < 2000; number++)
    try {
      await hosted.apply(ballast(number));
    } catch (error) {
      if (error instanceof ApiError && /database space exceeded/.test(error.message)) return number;
      throw error;
    }
  throw new Error('etcd holds 2 GB and its quota is not reached');
}
