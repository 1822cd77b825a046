import type { Duplex } from 'node:stream';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod } from '../kube/objects.ts';
import { anyPlaneSelector } from '../plane/names.ts';

/** Milliseconds for which a list of the pods counts: who waits for an API server asks many times a second. */
const lasting = 500;

/**
 * Opens byte streams to the port of whichever of the plane's API servers is Ready, through the infra API's port-forward.
 *
 * @throws Error ECONNREFUSED where none runs, as an address at which nobody listens has it
 */
export function forwardToApi(cluster: InfraCluster, port: number): (signal?: AbortSignal) => Promise<Duplex> {
  let known: { at: number; pods: Promise<Pod[]> } | undefined;
  const running = () => {
    if (!known || performance.now() - known.at > lasting) {
      const pods = cluster
        .pods(`${anyPlaneSelector},app.kubernetes.io/name=kube-apiserver`)
        .then(({ items }) => items.filter((pod) => !pod.metadata.deletionTimestamp && pod.status?.phase === 'Running'));
      known = { at: performance.now(), pods };
      pods.catch(() => {
        known = undefined;
      });
    }
    return known.pods;
  };
  return async (signal) => {
    const pods = await running();
    const pod = pods.find(isReady) ?? pods[0];
    if (!pod)
      throw Object.assign(new Error(`no API server runs in namespace "${cluster.namespace}"`), {
        code: 'ECONNREFUSED',
      });
    return cluster.forward(pod.metadata.name, port, signal);
  };
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}
