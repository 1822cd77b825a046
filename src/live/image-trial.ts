import { UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { isQuotaExceeded } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../kube/objects.ts';
import { recordName } from '../plane/names.ts';
import { likeTemplate } from '../plane/placement.ts';
import type { Patience } from '../ui/work.ts';
import { type Failed, oneOff, podKind, removePod, waitForPod } from './one-off-pod.ts';
import { hasSucceeded } from './pod-problems.ts';

interface Template extends KubeObject {
  spec: {
    template: {
      metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: {
        containers: { name: string; image: string; command: string[]; resources?: object; securityContext?: object }[];
        [field: string]: unknown;
      };
    };
  };
}

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
  patience: Patience,
): Promise<Map<string, string | undefined>> {
  // The record owns the pods, so that they go with the plane when this process is killed.
  const record = (await cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName))!;
  const tried = await Promise.all(
    workloads.map(
      async (workload): Promise<[string, string | undefined]> => [
        workload.metadata.name,
        await runOnce(cluster, trialPod(workload as Template, record), patience),
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
  patience: Patience,
): Promise<string | undefined> {
  const { name } = pod.metadata;
  const [{ name: container, image }] = pod.spec.containers;
  const failed: Failed = (why) =>
    new UserError({
      what: `the image ${image} cannot be used`,
      why,
      fix: words`check its version, and whether the infra nodes reach the registry; ${option('timeout')} gives it longer; nothing was changed`,
      anchor: 'image-trial',
    });
  // One that an earlier, killed run left would answer for another image.
  await removePod(cluster, name, patience, failed);
  try {
    await cluster.create(pod);
  } catch (error) {
    if (isQuotaExceeded(error)) return undefined;
    throw error;
  }
  try {
    await waitForPod(cluster, pod, patience, (now) => hasSucceeded(now, container), failed);
    return (await cluster.log(name, { container })).trim();
  } finally {
    await cluster.delete(podKind, name).catch(() => undefined);
  }
}

/** The workload's pod reduced to its image, its place and what admission looks at. Pure. */
function trialPod(workload: Template, owner: ConfigMap) {
  const { name, image, command } = ownContainer(workload);
  return podLike(workload, owner, { name, image, command: [...command, '--version'] });
}

/** The container that has the workload's name: a webhook may have put others before it. */
function ownContainer({ metadata, spec }: Template): Template['spec']['template']['spec']['containers'][number] {
  return spec.template.spec.containers.find(({ name }) => name === metadata.name)!;
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
  const like = likeTemplate((workload as Template).spec.template);
  const { resources, securityContext: containerSecurity } = ownContainer(workload as Template);
  const container = { name, image, command, resources, securityContext: containerSecurity };
  return {
    ...podKind,
    metadata: {
      ...like.metadata,
      name: `k8sk8s-try-${name}`,
      ownerReferences: [
        { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid! },
      ],
    },
    spec: {
      ...like.spec,
      ...oneOff,
      containers: [container] as [typeof container],
    },
  };
}
