import pLimit from 'p-limit';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';

/** Nodes that nobody is behind take 5 s each, and whoever looks at the plane is not to wait for all of them. */
const allMilliseconds = 20_000;

/**
 * At which name each worker's kubelet dials the API server, by the kubelet's own count of its requests (metric
 * rest_client_requests_total, label `host`). A kubelet reads its kubeconfig at its start, so that it counts for one name.
 *
 * @param workers names of Nodes
 * @returns by worker; undefined where its kubelet cannot be asked
 */
export async function dialledHosts(hosted: HostedCluster, workers: string[]): Promise<Map<string, string | undefined>> {
  const limit = pLimit(8);
  const end = performance.now() + allMilliseconds;
  const found = await Promise.all(
    workers.map((name) =>
      limit(async (): Promise<[string, string | undefined]> => {
        if (performance.now() > end) return [name, undefined];
        try {
          return [name, dialledIn(await hosted.kubeletMetrics(name, 5000))];
        } catch (error) {
          if (error instanceof ApiError || error instanceof ConnectionError) return [name, undefined];
          throw error;
        }
      }),
    ),
  );
  return new Map(found);
}

/** The host, without its port, of most requests. Pure. */
export function dialledIn(metrics: string): string | undefined {
  const counts = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const [, labels, count] = /^rest_client_requests_total\{(.*)\} (\S+)$/.exec(line) ?? [];
    const [, host] = /(?:^|,)host="([^"]+)"/.exec(labels ?? '') ?? [];
    if (host) counts.set(host, (counts.get(host) ?? 0) + Number(count));
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
  return most?.replace(/:\d+$/, '');
}
