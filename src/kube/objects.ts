import { isDeepStrictEqual } from 'node:util';

/** Kubernetes objects as they come over the wire, reduced to the fields that k8sk8s reads. */

/** Of https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  managedFields?: { manager?: string; operation?: string; apiVersion?: string; time?: string; subresource?: string }[];
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

export interface KubeList<T> {
  metadata: { resourceVersion?: string; continue?: string };
  items: T[];
}

export interface Secret extends KubeObject {
  type?: string;
  immutable?: boolean;
  data?: Record<string, string>;
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

interface ServicePort {
  name?: string;
  port: number;
  nodePort?: number;
}

export interface Service extends KubeObject {
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ipFamilies?: string[];
    allocateLoadBalancerNodePorts?: boolean;
    loadBalancerClass?: string;
    ports?: ServicePort[];
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] }; conditions?: Condition[] };
}

export interface ContainerStatus {
  name: string;
  /** `containerd://` and 64 hexadecimal digits. */
  containerID?: string;
  ready: boolean;
  started?: boolean;
  restartCount: number;
  image: string;
  state?: {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt?: string };
    terminated?: { reason?: string; exitCode: number; message?: string };
  };
  lastState?: { terminated?: { reason?: string; exitCode: number; message?: string; finishedAt?: string } };
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  /** Of a Node's conditions: when its kubelet said so last. */
  lastHeartbeatTime?: string;
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
}

export interface Pod extends KubeObject {
  spec: {
    nodeName?: string;
    hostNetwork?: boolean;
    initContainers?: Container[];
    containers: Container[];
    volumes?: { name: string; projected?: { sources?: { configMap?: { name?: string } }[] } }[];
  };
  status?: {
    phase?: string;
    /** Of a pod that was ended as a whole: `Evicted`, `DeadlineExceeded`. */
    reason?: string;
    message?: string;
    podIP?: string;
    podIPs?: { ip: string }[];
    hostIP?: string;
    startTime?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

/** Deployment, StatefulSet, DaemonSet, ReplicaSet: what they have in common. */
export interface Workload extends KubeObject {
  spec: {
    replicas?: number;
    updateStrategy?: { type?: string; rollingUpdate?: object };
    strategy?: { type?: string; rollingUpdate?: { maxSurge?: number; maxUnavailable?: number } };
    template: { metadata?: ObjectMeta; spec: { containers: Container[] } };
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberReady?: number;
    conditions?: Condition[];
  };
}

export interface StatefulSet extends Workload {
  spec: Workload['spec'] & { volumeClaimTemplates?: Pick<PersistentVolumeClaim, 'metadata' | 'spec'>[] };
  status?: Workload['status'] & { updateRevision?: string };
}

export interface PersistentVolumeClaim extends KubeObject {
  spec: {
    accessModes: string[];
    resources: { requests: { storage: string } };
    storageClassName?: string;
    volumeName?: string;
  };
  status?: { phase?: string; capacity?: { storage?: string } };
}

export interface Job extends KubeObject {
  spec?: { activeDeadlineSeconds?: number };
  status?: { startTime?: string; conditions?: Condition[] };
}

/** core/v1 Event. */
export interface Event extends KubeObject {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  involvedObject: { kind: string; name: string; uid?: string; fieldPath?: string };
  lastTimestamp?: string;
  eventTime?: string;
}

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean };
  status?: {
    conditions?: Condition[];
    addresses?: { type: string; address: string }[];
    nodeInfo?: { kubeletVersion: string };
    daemonEndpoints?: { kubeletEndpoint?: { Port?: number } };
  };
}

export interface Lease extends KubeObject {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** `deployment "etcd"`: how messages and the transcript name an object. */
export function nameOf(object: { kind: string; metadata: { name: string } }): string {
  return `${object.kind.toLowerCase()} "${object.metadata.name}"`;
}

const bookkeeping = new Set(['managedFields', 'resourceVersion', 'generation', 'status']);

/** Whether two states of an object ask for the same, whatever the server and controllers noted about it meanwhile. Pure. */
export function sameContent(before: KubeObject, after: KubeObject): boolean {
  const content = (object: KubeObject): unknown =>
    JSON.parse(JSON.stringify(object, (key, value) => (bookkeeping.has(key) ? undefined : value)));
  return isDeepStrictEqual(content(before), content(after));
}
