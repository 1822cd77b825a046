import { storedSnapshot } from '../../src/etcd/snapshots.ts';
import type { ConfigMap } from '../../src/kube/objects.ts';
import { inHostedCluster, openPlane } from '../../src/live/open.ts';
import type { Bench } from './plane.ts';

const whose = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'whose', namespace: 'default' } };
const key = 'written-for';

/** Writes the plane's own name into its data. */
export async function writeWhose(bench: Bench): Promise<void> {
  await inHostedCluster(bench.cluster, (_, hosted) =>
    hosted.apply({ ...whose, data: { [key]: `<${bench.host}>` } } as ConfigMap),
  );
}

/**
 * Proves that every plane has its own CA and its own data: a plane that is awake is asked through its API, and of a plane that
 * sleeps the snapshot of its etcd is read.
 *
 * @throws Error when two planes are mixed up
 */
export async function proveOwn(benches: Bench[]): Promise<void> {
  const authorities = new Set<string>();
  for (const bench of benches) {
    const { record, bundle } = await openPlane(bench.cluster);
    authorities.add(bundle.authorities.ca!.certificate);
    const kept = record.asleep?.snapshot;
    const found = kept
      ? [...new Set((await storedSnapshot(bench.cluster, kept)).toString('latin1').match(/<[^<>\s]+\.k8sk8s\.test>/g))]
      : await inHostedCluster(bench.cluster, async (_, hosted) => {
          const object = await hosted.get<ConfigMap>(whose, whose.metadata.name, whose.metadata.namespace);
          return Object.values(object?.data ?? {});
        });
    if (found.length !== 1 || found[0] !== `<${bench.host}>`)
      throw new Error(`${bench.host} has the data of ${found.join(' and ') || 'nobody'}`);
  }
  if (authorities.size !== benches.length) throw new Error('two planes have the same CA');
}
