import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import { ApiError } from '../kube/errors.ts';
import type { ConfigMap, KubeObject, Pod } from '../kube/objects.ts';
import { recordName } from './names.ts';
import { imageReasons } from './pods.ts';

interface Template extends KubeObject {
  spec: {
    template: {
      spec: {
        containers: { name: string; image: string; command: string[]; resources?: object; securityContext?: object }[];
        [field: string]: unknown;
      };
    };
  };
}

const kind = { apiVersion: 'v1', kind: 'Pod' };

/**
 * Lets each workload's image say its version (`COMPONENT --version`) in a pod of its own, placed and admitted as the
 * workload's: what cannot be pulled or does not run is found out while the old pods still serve, and nodes have the
 * image by the time it is needed.
 *
 * @returns what each printed, by component: `Kubernetes v1.37.2`; undefined where a quota leaves no room to try
 * @throws UserError `image-trial` for an image that cannot be pulled or does not run
 */
export async function tryImages(
  cluster: InfraCluster,
  workloads: KubeObject[],
  options: { timeout: number; signal: AbortSignal },
): Promise<Map<string, string | undefined>> {
  // The record owns the pods, so that they go with the plane when this process is killed.
  const record = (await cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName))!;
  const tried = await Promise.all(
    workloads.map(
      async (workload): Promise<[string, string | undefined]> => [
        workload.metadata.name,
        await runOnce(cluster, trialPod(workload as Template, record), options),
      ],
    ),
  );
  return new Map(tried);
}

/**
 * Runs a pod of one container to its end, and takes it away.
 *
 * @returns what it printed; undefined where a quota leaves no room for it
 * @throws UserError `image-trial` when it cannot be pulled, does not run or fails
 */
export async function runOnce(
  cluster: InfraCluster,
  pod: ReturnType<typeof podLike>,
  { timeout, signal }: { timeout: number; signal: AbortSignal },
): Promise<string | undefined> {
  const { name } = pod.metadata;
  const { image } = pod.spec.containers[0]!;
  await remove(cluster, name);
  try {
    await cluster.create(pod);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403 && error.message.includes('exceeded quota')) return undefined;
    throw error;
  }
  try {
    const deadline = Date.now() + timeout;
    for (;;) {
      signal.throwIfAborted();
      const now = await cluster.get<Pod>(kind, name);
      const state = now?.status?.containerStatuses?.[0]?.state;
      const { reason = '', message } = state?.waiting ?? {};
      if (state?.terminated?.exitCode === 0) return (await cluster.log(name)).trim();
      if (state?.terminated || imageReasons.has(reason))
        throw new UserError({
          what: `the image ${image} cannot be used`,
          why: state?.terminated
            ? `it ended with exit code ${state.terminated.exitCode}: ${(await cluster.log(name).catch(() => '')).trim().slice(0, 300)}`
            : `${reason}: ${message ?? 'the kubelet gives no detail'}`,
          fix: 'check its version, and whether the infra nodes reach the registry; nothing was changed',
          anchor: 'image-trial',
        });
      if (Date.now() > deadline)
        throw new UserError({
          what: `the image ${image} did not run within ${Math.round(timeout / 1000)} s`,
          why: state?.waiting?.reason ?? 'no infra node took its pod yet',
          fix: 'give it longer with --timeout, or look at the infra nodes; nothing was changed',
          anchor: 'image-trial',
        });
      await sleep(250, undefined, { signal });
    }
  } finally {
    await cluster.delete(kind, name).catch(() => undefined);
  }
}

/** One that an earlier, killed run left would answer for another image. */
async function remove(cluster: InfraCluster, name: string): Promise<void> {
  await cluster.delete(kind, name);
  while (await cluster.get(kind, name)) await sleep(250);
}

/** The workload's pod reduced to its image, its place and what admission looks at. Pure. */
function trialPod(workload: Template, owner: ConfigMap) {
  const { name, image, command } = workload.spec.template.spec.containers[0]!;
  return podLike(workload, owner, { name, image, command: [...command, '--version'] });
}

/**
 * A pod of one container that is placed and admitted as a workload's, and is no part of the plane. Pure.
 *
 * @param owner with it the pod goes
 */
export function podLike(
  workload: KubeObject,
  owner: ConfigMap,
  { name, image, command }: { name: string; image: string; command: string[] },
) {
  const template = (workload as Template).spec.template.spec;
  const { nodeSelector, tolerations, imagePullSecrets, securityContext, containers } = template;
  const { resources, securityContext: containerSecurity } = containers[0]!;
  const place = { nodeSelector, tolerations, imagePullSecrets, securityContext };
  const container = { name, image, command, resources, securityContext: containerSecurity };
  return {
    ...kind,
    metadata: {
      name: `k8sk8s-try-${name}`,
      ownerReferences: [
        { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid! },
      ],
    },
    spec: {
      ...Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined)),
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      containers: [container],
    },
  };
}
