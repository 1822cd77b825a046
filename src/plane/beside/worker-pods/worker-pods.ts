import { createHash } from 'node:crypto';
import { command, words } from '../../../base/words.ts';
import { pauseImage, workerImageOf } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject, PersistentVolumeClaim, Pod, StatefulSet, Workload } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { trusted } from '../../../pki/authority.ts';
import type { PkiBundle } from '../../../pki/certificates.ts';
import type { Addresses } from '../../addresses.ts';
import { labelsOf, partOf, podSelector } from '../../names.ts';
import { placement } from '../../placement.ts';
import { amountsIn, type Measured, type Resources, resourcesOf } from '../../resources.ts';
import { buildClaim } from '../../storage.ts';
import { templateHash } from '../../workloads.ts';
import type { BesidePlane } from '../beside.ts';
import networkPolicy from './network-policy.yaml';
import statefulSet from './statefulset.yaml';

/**
 * Name of the StatefulSet, of its container, its policy and its Secret, and of the Nodes with a number behind it. Not `worker`:
 * machines are called so, and a machine and a pod of one name would be one Node.
 */
export const workerPodsName = 'worker-pod';

/** The entrypoint of the image gives its Node this label, by which a machine of a like name is told from it. */
export const workerPodLabel = 'k8sk8s.io/worker-pod';

/** Workers that are pods (docs/adr/0053-workers-as-pods.md). Their Secret has a bootstrap token of the hosted cluster in it. */
export const workerPods: BesidePlane<typeof workerPodsName> = {
  name: workerPodsName,
  kind: 'StatefulSet',
  replicas: (spec) => spec.workerPods,
  image: workerImageOf,
  containers: [workerPodsName],
  kinds: [
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', names: [workerPodsName], listed: true },
    { apiVersion: 'v1', kind: 'Secret', names: [workerPodsName] },
    { apiVersion: 'apps/v1', kind: 'StatefulSet', names: [workerPodsName] },
  ],
  objects: ({ planeId, spec, plane, asleep }) =>
    buildWorkerPods(planeId, spec, {
      joins: plane ? joinsBy(spec, plane.addresses, plane.bundle) : '',
      infraServices: plane?.infraServices,
      asleep,
    }),
  trialPod: trialWorkerPod,
  ends: 'before',
  called: { itself: 'what the workers run in', done: 'The worker pods are ready' },
  statusName: 'workerPods',
  problem({ name, ready, count, problem }, namespace) {
    if (ready) return undefined;
    return {
      what: `${count} worker pods are ready`,
      why: problem,
      fix: words`the log of a worker pod is printed by kubectl -n ${namespace} logs ${name}-0; ${command('deploy', namespace)} makes what is missing`,
      anchor: 'worker-pod-not-ready',
      severity: 'warning',
    };
  },
};

/** Of a worker without pods of users: kubelet, containerd, flannel and kube-proxy. */
const measured: Measured = {
  requests: { cpu: '50m', memory: '256Mi' },
  limits: { cpu: '2', memory: '2Gi' },
};

/** Volume with the images and the state of the kubelet. */
const dataVolume = 'worker';

/** `worker-pod-0`: of the pod, and of its Node. */
export function workerPodName(number: number): string {
  return `${workerPodsName}-${number}`;
}

/** The number of a worker pod by its name; undefined of any other name. */
export function workerPodNumber(name: string): number | undefined {
  const [, digits] = /^worker-pod-(0|[1-9]\d*)$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether a pod or a workload is one of the workers'. */
export function isWorkerPods({ metadata }: Pick<KubeObject, 'metadata'>): boolean {
  return metadata.labels?.['app.kubernetes.io/name'] === workerPodsName || metadata.name === workerPodsName;
}

/** What a worker reads only when it joins: with another one of these its pod is made anew. Pure. */
export function joinsBy(
  { featureGates }: ClusterSpec,
  { workerServer }: Pick<Addresses, 'workerServer'>,
  { authorities }: Pick<PkiBundle, 'authorities'>,
): string {
  return JSON.stringify([workerServer, trusted(authorities.ca!), featureGates]);
}

/**
 * The workers' objects but for the Secret, which has a bootstrap token in it; none where the spec wants no worker pods. Pure.
 *
 * @param joins of joinsBy
 * @param infraServices networks of the infra cluster's services, as far as they are known
 */
export function buildWorkerPods(
  planeId: string,
  spec: ClusterSpec,
  { joins, asleep = false, infraServices = [] }: { joins: string; asleep?: boolean; infraServices?: string[] },
): KubeObject[] {
  if (spec.workerPods === 0) return [];
  const selector = podSelector(planeId, workerPodsName);
  const labels = labelsOf(planeId, workerPodsName, spec.kubernetesVersion);
  const openEgress = spec.policyTypes === 'Ingress' ? undefined : [{}];
  const policies = render(
    networkPolicy,
    {
      name: workerPodsName,
      labels,
      selector,
      apiServer: podSelector(planeId, 'kube-apiserver'),
      policyTypes: spec.policyTypes.split(','),
      egress: openEgress,
    },
    'the policy of the worker pods',
  );
  const replicas = asleep ? 0 : spec.workerPods;
  return [...policies, buildStatefulSet(spec, selector, labels, { joins, replicas, infraServices })];
}

function buildStatefulSet(
  spec: ClusterSpec,
  selector: Record<string, string>,
  labels: Record<string, string>,
  { joins, replicas, infraServices }: { joins: string; replicas: number; infraServices: string[] },
): Workload {
  const [object] = render(
    statefulSet,
    {
      name: workerPodsName,
      labels,
      selector,
      replicas,
      podLabels: { ...spec.podLabels, ...labels },
      podAnnotations: spec.podAnnotations,
      image: workerImageOf(spec),
      pauseImage: pauseImage(spec),
      proxies: proxiesOf(spec, infraServices),
      resources: { ...resourcesOfWorker(spec) },
      // A CPU limit on this pod would keep hosted pods with a higher one from their start on cgroup v1.
      offersCpu: spec.workerResources === undefined ? 'limits.cpu' : 'requests.cpu',
      data: dataVolume,
      dataVolumes: spec.workerStorage === undefined ? [{ name: dataVolume, emptyDir: {} }] : [],
    },
    'the worker pods',
  ) as StatefulSet[];
  const claims = spec.workerStorage === undefined ? undefined : [claimTemplate(spec.workerStorage, selector, spec)];
  if (claims) object!.spec.volumeClaimTemplates = claims;
  const { template } = object!.spec;
  Object.assign(template.spec, placementOfWorkers(spec));
  const hash = createHash('sha256')
    .update(JSON.stringify([template.spec, joins, claims]))
    .digest('hex')
    .slice(0, 16);
  template.metadata!.annotations = { ...template.metadata!.annotations, [templateHash]: hash };
  return object!;
}

/** The variables by which containerd and the kubelet know proxies; the pod itself adds the networks that it knows (entrypoint.sh). */
function proxiesOf(
  { workerHttpProxy, workerHttpsProxy, workerProxyExceptions }: ClusterSpec,
  infraServices: string[],
): { name: string; value: string }[] {
  if (workerHttpProxy === undefined && workerHttpsProxy === undefined) return [];
  const values = {
    HTTP_PROXY: workerHttpProxy,
    HTTPS_PROXY: workerHttpsProxy,
    NO_PROXY: [...infraServices, ...(workerProxyExceptions?.split(',') ?? [])].join(',') || undefined,
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

function resourcesOfWorker(spec: ClusterSpec): Partial<Resources> | undefined {
  if (spec.workerResources === undefined) return resourcesOf(spec, workerPodsName, measured);
  const requests = amountsIn(spec.workerResources);
  return { requests, limits: { memory: requests.memory! } };
}

function placementOfWorkers(spec: ClusterSpec): ReturnType<typeof placement> {
  return placement({
    ...spec,
    nodeSelector: spec.workerNodeSelector ?? spec.nodeSelector,
    tolerations: spec.workerTolerations ?? spec.tolerations,
    runtimeClassName: spec.workerRuntimeClass ?? spec.runtimeClassName,
  });
}

/** The StatefulSet makes the claims, and keeps them while the plane sleeps; they go with their workers. */
function claimTemplate(
  size: string,
  selector: Record<string, string>,
  { workerStorageClass: storageClass }: ClusterSpec,
): Pick<PersistentVolumeClaim, 'metadata' | 'spec'> {
  const { spec } = buildClaim(dataVolume, { kind: 'volume', size, storageClass });
  const labels = { ...selector, 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf };
  return { metadata: { name: dataVolume, labels }, spec };
}

/** A worker pod as it is tried before it is made: without the Secret, which is not there yet. Pure. */
export function trialWorkerPod(planeId: string, spec: ClusterSpec): KubeObject {
  // A claim that is not there yet would not be found.
  const workload = buildWorkerPods(planeId, { ...spec, workerStorage: undefined }, { joins: '' }).find(
    ({ kind }) => kind === 'StatefulSet',
  ) as Workload;
  const { metadata, spec: pod } = workload.spec.template as Pick<Pod, 'metadata' | 'spec'>;
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: workerPodsName }, spec: pod } as KubeObject;
}
