import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject, Pod, Service } from '../kube/objects.ts';
import { chooseStorage } from '../live/choose-storage.ts';
import { addressesAsIf } from '../plane/addresses.ts';
import { type Beside, wantedBeside } from '../plane/beside/lookup.ts';
import type { WorkloadContext } from '../plane/components/component.ts';
import { settledMembership } from '../plane/components/etcd/membership.ts';
import { byComponent, type Component, replicasOf } from '../plane/components/lookup.ts';
import { buildExposure } from '../plane/exposures/table.ts';
import { belongsTo } from '../plane/names.ts';
import { buildServices } from '../plane/services.ts';
import { buildWorkloads } from '../plane/workloads.ts';
import { askedOnce, type DeployContext } from './check.ts';

/** The identity of a plane in a dry run. */
export const trialId = 'plane-preflight';

/** An object as the infra cluster would store it, or the reason why it refuses `object`. */
export interface Trial<T extends KubeObject> {
  object: T;
  admitted?: T;
  error?: unknown;
}

/** A name that nobody else uses: an existing object of the real name must not affect the trial. */
export function renamed<T extends KubeObject>(object: T): T {
  return { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-preflight` } };
}

async function attempt<T extends KubeObject>(object: T, sending: Promise<T>): Promise<Trial<T>> {
  return sending.then(
    (admitted) => ({ object, admitted }),
    (error: unknown) => ({ object, error }),
  );
}

/** Existing objects of the plane are tried as the change that deploy would make, all others as new objects. */
async function tryObject<T extends KubeObject>(
  context: DeployContext,
  build: (planeId: string) => T,
): Promise<Trial<T>> {
  const { cluster } = context;
  const [existing, record] = await Promise.all([context.existing(), context.record()]);
  const own = record && build(record.planeId);
  const before = own && existing.find(own);
  if (own && before && belongsTo(before, record.planeId)) return attempt(own, cluster.apply(own, { dryRun: true }));
  const object = build(trialId);
  return attempt(object, cluster.create(renamed(object), { dryRun: true }));
}

export interface PodTrial extends Trial<KubeObject> {
  component: Component;
}

export interface Container {
  restartPolicy?: string;
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

/** The fields of a pod that a quota counts. */
export interface PodResources extends KubeObject {
  spec: { containers: Container[]; initContainers?: Container[] };
}

/** The plane's pod templates as bare Pods, one of each component. Pure. */
function podTemplates(spec: ClusterSpec): (PodResources & { component: Component })[] {
  const context: WorkloadContext = {
    planeId: trialId,
    spec,
    addresses: addressesAsIf(spec, { apiserver: '127.0.0.1', etcd: () => '127.0.0.1', nodePort: 30000 }),
    membership: settledMembership(spec.etcdMembers, false),
    // A claim would have to exist; for admission the pod is the same without it.
    storage: { kind: 'ephemeral' },
  };
  const workloads = buildWorkloads(
    context,
    byComponent(() => ''),
  );
  return Object.values(workloads).map((workload) => {
    const { metadata, spec: pod } = (
      workload as unknown as { spec: { template: Pick<PodResources, 'metadata' | 'spec'> } }
    ).spec.template;
    const component = workload.metadata.name as Component;
    return { component, apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: component }, spec: pod };
  });
}

/** All pods of a plane, and of what stands beside it. Pure. */
export function planePods(spec: ClusterSpec): PodResources[] {
  const pods = podTemplates(spec).flatMap((pod) => Array<PodResources>(replicasOf(spec, pod.component)).fill(pod));
  const beside = wantedBeside(spec).flatMap(({ replicas, trialPod }) =>
    Array<PodResources>(replicas(spec)).fill(trialPod(trialId, spec) as PodResources),
  );
  return [...pods, ...beside];
}

/** The pods are tried, so that quota, LimitRange, pod security and webhooks judge them in the dry run. */
export const trialPods = askedOnce(
  ({ cluster, spec }): Promise<PodTrial[]> =>
    Promise.all(
      podTemplates(spec).map(async ({ component, ...object }) => ({
        component,
        ...(await attempt<KubeObject>(object, cluster.create(renamed(object), { dryRun: true }))),
      })),
    ),
);

/** A pod of each thing that the spec wants beside the plane. */
export const trialsBeside = askedOnce(
  async ({ cluster, spec }): Promise<(Trial<KubeObject> & { name: Beside; replicas: number })[]> =>
    Promise.all(
      wantedBeside(spec).map(async ({ name, replicas, trialPod }) => {
        const object = trialPod(trialId, spec);
        const trial = await attempt(object, cluster.create(renamed(object), { dryRun: true }));
        return { name, replicas: replicas(spec), ...trial };
      }),
    ),
);

/** The storage for etcd, as deploy chooses it. */
export const trialStorage = askedOnce(async (context) => {
  const [existing, record] = await Promise.all([context.existing(), context.record()]);
  return chooseStorage(context.cluster, context.spec, existing, record);
});

/** The services, the API server's among them: the answers tell whether the node port is free, and an address of the infra cluster's range. */
export const trialServices = askedOnce((context) =>
  Promise.all(
    buildServices(trialId, context.spec).map(({ metadata: { name } }) =>
      tryObject(
        context,
        (planeId) => buildServices(planeId, context.spec).find(({ metadata }) => metadata.name === name)! as Service,
      ),
    ),
  ),
);

/** What leads to the API server's service. */
export const trialExposure = askedOnce((context) =>
  Promise.all(
    buildExposure(trialId, context.spec).map((_, index) =>
      tryObject(
        context,
        (planeId) =>
          buildExposure(planeId, context.spec)[index]! as KubeObject & { spec: { ingressClassName?: string } },
      ),
    ),
  ),
);

/** All pods of the namespace; none if the caller may not list them, which the check of the rights reports. */
export const namespacePods = askedOnce(
  async ({ cluster }): Promise<Pod[]> =>
    cluster.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }).then(
      ({ items }) => items,
      (error: unknown) => (isForbidden(error) ? [] : Promise.reject(error)),
    ),
);

/** How many pods each component has; these already use their own share of the quota. */
export const runningComponents = askedOnce(async (context): Promise<Map<string, number>> => {
  const [pods, record] = await Promise.all([namespacePods(context), context.record()]);
  const running = new Map<string, number>();
  for (const pod of pods)
    if (record && belongsTo(pod, record.planeId) && !/Succeeded|Failed/.test(pod.status?.phase ?? '')) {
      const name = pod.metadata.labels?.['app.kubernetes.io/name'] ?? '';
      running.set(name, (running.get(name) ?? 0) + 1);
    }
  return running;
});
