import { UserError } from '../base/errors.ts';
import { type Component, components } from '../config/components.ts';
import { fieldManager } from '../kube/cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Event, KubeObject, Pod, Workload } from '../kube/objects.ts';
import { follow } from '../kube/watch.ts';
import { planeSelector } from '../plane/names.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { configReasons, imageReasons, isReady } from './pods.ts';

/** Restarts that a component is allowed while it only waits for another one. */
const patience = 5;
/** A pod may be unschedulable for a moment, while its node or volume is being made. */
const unschedulableGrace = 2000;
/** A pod that has had its node for this many milliseconds and no container waits for its image. */
const pullGrace = 2000;
/** A provisioner tries again after a failure of its own. */
const volumeGrace = 15_000;

/**
 * Watches a plane's pods and the namespace's events, to say at any time what is being waited for and to stop at once
 * when something is wrong that waiting does not mend.
 */
export class Diagnosis {
  readonly #cluster: InfraCluster;
  readonly #pods = new Map<string, Pod>();
  readonly #unschedulableSince = new Map<string, number>();
  /** When a pod was first seen with its node. */
  readonly #placedSince = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #since = Date.now();
  /** Hash of the template that a component's pods are to have, once it is known. */
  #templates = new Map<string, string>();
  /** When a workload's pods were last told to be made anew, milliseconds, where that was by this run. */
  readonly #renewed = new Map<string, number>();
  /** How many pods a component is to have. */
  #wanted = new Map<string, number>();
  #refusal: UserError | undefined;
  /** The first refusal to make a volume, since when, and whether trying again cannot help. */
  #volume: { since: number; hopeless: boolean; claim: string; message: string } | undefined;
  readonly #failures = new Map<string, { pod: Pod; error: UserError }>();
  #examining: Promise<void> = Promise.resolve();

  constructor(cluster: InfraCluster, planeId: string) {
    this.#cluster = cluster;
    const signal = this.#stop.signal;
    const ignore = () => undefined;
    follow<Pod>(
      cluster,
      { apiVersion: 'v1', kind: 'Pod' },
      { labelSelector: planeSelector(planeId) },
      signal,
      ({ type, object }) => {
        if (type === 'DELETED' || object.metadata.deletionTimestamp) {
          this.#pods.delete(object.metadata.name);
          this.#failures.delete(object.metadata.name);
          this.#placedSince.delete(object.metadata.name);
        } else {
          this.#pods.set(object.metadata.name, object);
          if (object.spec.nodeName && !this.#placedSince.has(object.metadata.name))
            this.#placedSince.set(object.metadata.name, Date.now());
          this.#examining = this.#examining.then(() => this.#examine(object)).catch(ignore);
        }
      },
    ).catch(ignore);
    follow<Event>(cluster, { apiVersion: 'v1', kind: 'Event' }, {}, signal, ({ object }) =>
      this.#examineEvent(object),
    ).catch(ignore);
  }

  /** Tells what is about to be applied: pods of an earlier template are on their way out, whatever ails them. */
  expect(workloads: KubeObject[]): void {
    this.#templates = new Map(workloads.map((workload) => [workload.metadata.name, templateHashOf(workload) ?? '']));
    this.#wanted = new Map(
      workloads.map((workload) => [workload.metadata.name, (workload as Workload).spec.replicas ?? 1]),
    );
  }

  /**
   * Tells what was applied over `before`: where the pod template changed, pods from before it are on their way out, also
   * those that carry our template's hash because somebody had changed the template and not the annotation.
   */
  applied(objects: KubeObject[], before: (object: KubeObject) => KubeObject | undefined): void {
    for (const object of objects) {
      if (before(object)?.metadata.generation === object.metadata.generation) continue;
      const entry = object.metadata.managedFields?.find(({ manager }) => manager === fieldManager);
      if (entry?.time) this.#renewed.set(object.metadata.name, Date.parse(entry.time));
    }
  }

  /** What is wrong, once something is. */
  get failure(): UserError | undefined {
    if (this.#refusal) return this.#refusal;
    for (const { pod, error } of this.#failures.values()) if (this.#counts(pod)) return error;
    const now = Date.now();
    const waitsForVolume = [...this.#unschedulableSince.keys()].some((name) => unboundClaim(this.#pods.get(name)));
    if (this.#volume && (waitsForVolume || this.#bindingVolume))
      if (this.#volume.hopeless || now - this.#volume.since >= volumeGrace)
        return noVolume(this.#cluster, this.#volume);
    for (const [name, since] of this.#unschedulableSince) {
      const pod = this.#pods.get(name);
      if (pod && !unboundClaim(pod) && this.#counts(pod) && now - since >= unschedulableGrace)
        return unschedulable(pod);
    }
    return undefined;
  }

  /** A volume that is made where its pod goes is made before the pod has its node. */
  get #bindingVolume(): boolean {
    return [...this.#pods.values()].some(
      (pod) => pod.metadata.labels?.['app.kubernetes.io/name'] === 'etcd' && !pod.spec.nodeName,
    );
  }

  #counts(pod: Pod): boolean {
    const component = pod.metadata.labels?.['app.kubernetes.io/name'] ?? '';
    const wanted = this.#templates.get(component);
    const made = Date.parse(pod.metadata.creationTimestamp ?? '');
    return (
      wanted !== undefined &&
      pod.metadata.annotations?.[templateHash] === wanted &&
      !(made < (this.#renewed.get(component) ?? 0))
    );
  }

  /** `etcd: pulling registry.k8s.io/etcd:3.7.3-0` and the like for the first component that is not running. */
  waitingFor(): string | undefined {
    for (const component of ['etcd', 'kube-apiserver']) {
      const pod = [...this.#pods.values()].find(
        (each) => each.metadata.labels?.['app.kubernetes.io/name'] === component,
      );
      if (!pod) return `${component}: waiting for its pod`;
      const status = pod.status?.containerStatuses?.find(({ name }) => name === component);
      const waiting = status?.state?.waiting;
      if (!pod.spec.nodeName) return `${component}: waiting for a node${component === 'etcd' ? ' and its volume' : ''}`;
      if (waiting || !status)
        return `${component}: ${waiting?.reason === 'ContainerCreating' || !waiting?.reason ? `starting ${pod.spec.containers[0]?.image}` : waiting.reason}`;
    }
    return undefined;
  }

  /** All of etcd's pods are at the point where their containers are made, or wait for their images. */
  get etcdStarts(): boolean {
    const pods = this.#own('etcd');
    const pulls = ({ metadata }: Pod) => Date.now() - (this.#placedSince.get(metadata.name) ?? Infinity) > pullGrace;
    return pods.length >= (this.#wanted.get('etcd') ?? 1) && pods.every((pod) => startsContainers(pod) || pulls(pod));
  }

  /** Components of which a pod is missing or not ready. */
  get unready(): Component[] {
    return components.filter((component) => this.#ready(component) < (this.#wanted.get(component) ?? 1));
  }

  get namespace(): string {
    return this.#cluster.namespace;
  }

  #ready(component: string): number {
    return this.#own(component).filter(isReady).length;
  }

  #own(component: string): Pod[] {
    return [...this.#pods.values()].filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === component);
  }

  /** A pod of the API server is ready. */
  get apiServerReady(): boolean {
    return this.#ready('kube-apiserver') > 0;
  }

  close(): void {
    this.#stop.abort();
  }

  async #examine(pod: Pod): Promise<void> {
    const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
    if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
      if (!this.#unschedulableSince.has(pod.metadata.name)) this.#unschedulableSince.set(pod.metadata.name, Date.now());
    } else this.#unschedulableSince.delete(pod.metadata.name);
    for (const status of pod.status?.containerStatuses ?? []) {
      const error = await this.#containerFailure(pod, status);
      if (error && this.#pods.has(pod.metadata.name)) this.#failures.set(pod.metadata.name, { pod, error });
    }
  }

  async #containerFailure(pod: Pod, status: ContainerStatus): Promise<UserError | undefined> {
    const { reason = '', message } = status.state?.waiting ?? {};
    // A component's own container has its name; beside the API server there may be another one.
    const component = status.name;
    if (imageReasons.has(reason)) {
      return new UserError({
        what: `the image ${status.image} of ${component} cannot be pulled`,
        why: `${reason}: ${message ?? 'the kubelet gives no detail'}`,
        fix: 'check the name and version, and whether the infra nodes reach that registry; --image-registry names a mirror, --image-pull-secret the credentials, then run the command again',
        anchor: 'image-pull',
      });
    }
    if (configReasons.has(reason)) {
      return new UserError({
        what: `the container of ${component} cannot be started`,
        why: `${reason}: ${message ?? ''}`,
        fix: `look at: kubectl -n ${this.#cluster.namespace} describe pod ${pod.metadata.name}`,
        anchor: 'container-start',
      });
    }
    if (reason !== 'CrashLoopBackOff') return undefined;
    const log = await this.#cluster
      .log(pod.metadata.name, { container: status.name, tailLines: 8, previous: true })
      .catch(() => '');
    // Controller-manager and scheduler give up when the API server is away for a while, and come back by themselves.
    const bystander = component === 'kube-controller-manager' || component === 'kube-scheduler';
    if (
      bystander &&
      /connection refused|i\/o timeout|deadline exceeded|no route to host|apiserver being healthy/.test(log) &&
      status.restartCount < patience
    )
      return undefined;
    const full = component === 'etcd' && /[^"]*no space left on device/.exec(log);
    if (full)
      return new UserError({
        what: `the volume of ${pod.metadata.name} is full`,
        why: full[0],
        fix: `make it larger where its StorageClass can (kubectl -n ${this.#cluster.namespace} edit pvc), or free what else fills the file system under it; ${component} then goes on by itself`,
        anchor: 'volume-full',
      });
    // etcd adds where it was in its own sources.
    const words = log.replaceAll(/,"stacktrace":"[^"]*"/g, '').trim();
    const exit = status.lastState?.terminated;
    return new UserError({
      what: `${component} ends right after its start${exit ? `, with exit code ${exit.exitCode}${exit.reason === 'OOMKilled' ? ' (out of memory)' : ''}` : ''}`,
      why: words === '' ? 'it left no log' : `its last words were\n${words.replace(/^/gm, '    ')}`,
      fix: `correct the option that it complains of and run the command again; the whole log: k8sk8s logs -n ${this.#cluster.namespace} ${component}`,
      anchor: 'crash-loop',
    });
  }

  /** Of an earlier claim of the same name, which was deleted for a better one, nothing counts. */
  async #examineVolume({ involvedObject: { kind, name, uid }, message = '' }: Event): Promise<void> {
    const claim = await this.#cluster.get({ apiVersion: 'v1', kind }, name);
    const hopeless = /storageclass\S* "[^"]*" not found/i.test(message);
    if (claim?.metadata.uid === uid) this.#volume ??= { since: Date.now(), hopeless, claim: name, message };
  }

  #examineEvent(event: Event): void {
    const when = Date.parse(event.lastTimestamp ?? event.eventTime ?? '') || Date.now();
    // Event times have whole seconds; what is older than this run is somebody else's trouble.
    if (when < this.#since - 1000) return;
    const { kind, name } = event.involvedObject;
    if (event.reason === 'ProvisioningFailed' && kind === 'PersistentVolumeClaim' && /^data-etcd-\d$/.test(name))
      this.#examining = this.#examining.then(() => this.#examineVolume(event)).catch(() => undefined);
    if (event.reason !== 'FailedCreate') return;
    if (
      !/^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)(-|$)/.test(name) ||
      (kind !== 'ReplicaSet' && kind !== 'StatefulSet')
    )
      return;
    this.#refusal ??= refusedPod(name.replace(/-[a-z0-9]{6,}$/, ''), event.message ?? '');
  }
}

/** It has its network, which the kubelet tells since 1.29, or a container. */
function startsContainers({ status }: Pod): boolean {
  return (
    (status?.conditions ?? []).some(({ type, status }) => type === 'PodReadyToStartContainers' && status === 'True') ||
    (status?.containerStatuses ?? []).some(({ state }) => state?.running !== undefined)
  );
}

/** A pod that an admission step of the infra cluster refuses: quota, pod security, a webhook. */
export function refusedPod(component: string, message: string): UserError {
  const [cause, fix] = /exceeded quota|must specify (limits|requests|cpu|memory)/.test(message)
    ? [
        "the namespace's quota does not allow it",
        'free or raise the quota (kubectl describe quota), or ask for less with --resources',
      ]
    : /violates PodSecurity/.test(message)
      ? [
          'the pod security level of the namespace does not allow it',
          'this is a bug of k8sk8s if the level is "restricted" or lower; otherwise ask the administrator which policy it is',
        ]
      : /admission webhook/.test(message)
        ? [
            'an admission webhook of the infra cluster refuses it',
            "ask the infra cluster's administrator about that webhook",
          ]
        : ['the infra cluster refuses it', 'change what is named there and run the command again'];
  return new UserError({
    what: `the pod of ${component} cannot be created: ${cause}`,
    why: message,
    fix,
    anchor: 'pod-refused',
  });
}

/** The pod waits for a volume that is being made, and not for a node. */
function unboundClaim(pod: Pod | undefined): boolean {
  const message = pod?.status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? '';
  return /unbound immediate PersistentVolumeClaims|persistentvolumeclaim "[^"]*" not found/.test(message);
}

function noVolume(cluster: InfraCluster, { claim, message }: { claim: string; message: string }): UserError {
  return new UserError({
    what: `the infra cluster makes no volume for etcd (claim "${claim}")`,
    why: message,
    fix: `correct --etcd-storage-class or --etcd-storage and run the command again; more: kubectl -n ${cluster.namespace} describe pvc ${claim}`,
    anchor: 'volume',
  });
}

function unschedulable(pod: Pod): UserError {
  const condition = pod.status?.conditions?.find((each) => each.type === 'PodScheduled');
  return new UserError({
    what: `no infra node can take the pod of ${pod.metadata.labels?.['app.kubernetes.io/name'] ?? pod.metadata.name}`,
    why: `the scheduler says: ${condition?.message ?? 'nothing'}`,
    fix: 'free room on the infra cluster, or change --node-selector, --tolerations or --resources, and run the command again',
    anchor: 'unschedulable',
  });
}
