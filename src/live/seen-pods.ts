import type { Pod } from '../kube/objects.ts';
import type { WatchEvent } from '../kube/watch.ts';
import { type Component, componentNames } from '../plane/components/lookup.ts';
import { containerStatus } from './pod-problems.ts';
import { isReady } from './pods.ts';

/** A pod that has had its node for this many milliseconds and no container waits for its image. */
const pullGrace = 2000;

/** Milliseconds in which a controller that was refused a pod tries again. */
const roomGrace = 30_000;

/** A plane's pods as a watch tells of them, and since when they are as they are. */
export class SeenPods {
  readonly #pods = new Map<string, Pod>();
  /** When a pod was first seen with its node, and without one that takes it. */
  readonly #placedSince = new Map<string, number>();
  readonly #unschedulableSince = new Map<string, number>();
  /** Pods that are on their way out, and when the last of them was gone. */
  readonly #ending = new Set<string>();
  #endedAt = -Infinity;
  /** How many pods a component is to have. */
  wanted = new Map<string, number>();

  /** @returns the pod, unless it is on its way out */
  take({ type, object }: WatchEvent<Pod>): Pod | undefined {
    const { name, deletionTimestamp } = object.metadata;
    if (type === 'DELETED' || deletionTimestamp) {
      for (const map of [this.#pods, this.#placedSince, this.#unschedulableSince]) map.delete(name);
      if (type !== 'DELETED') this.#ending.add(name);
      else if (this.#ending.delete(name)) this.#endedAt = performance.now();
      return undefined;
    }
    const now = performance.now();
    this.#pods.set(name, object);
    if (object.spec.nodeName && !this.#placedSince.has(name)) this.#placedSince.set(name, now);
    if (!isUnschedulable(object)) this.#unschedulableSince.delete(name);
    else if (!this.#unschedulableSince.has(name)) this.#unschedulableSince.set(name, now);
    return object;
  }

  has({ metadata }: Pod): boolean {
    return this.#pods.has(metadata.name);
  }

  of(component: string): Pod[] {
    return [...this.#pods.values()].filter((pod) => componentOf(pod) === component);
  }

  /** Those that no node has taken for so many milliseconds. */
  unschedulable(milliseconds: number): Pod[] {
    const now = performance.now();
    return [...this.#unschedulableSince]
      .filter(([, since]) => now - since >= milliseconds)
      .flatMap(([name]) => this.#pods.get(name) ?? []);
  }

  /** A pod is ending or has just ended, so that another one may get its room, also by a controller that waits between its tries. */
  get makesRoom(): boolean {
    return this.#ending.size > 0 || performance.now() - this.#endedAt < roomGrace;
  }

  ready(component: string): number {
    return this.of(component).filter(isReady).length;
  }

  /** Components of which a pod is missing or not ready. */
  get unready(): Component[] {
    return componentNames.filter((component) => this.ready(component) < this.#wantedOf(component));
  }

  /** All of etcd's pods are at the point where their containers are made, or wait for their images. */
  get etcdStarts(): boolean {
    const pods = this.of('etcd');
    const pulls = ({ metadata }: Pod) =>
      performance.now() - (this.#placedSince.get(metadata.name) ?? Infinity) > pullGrace;
    return pods.length >= this.#wantedOf('etcd') && pods.every((pod) => startsContainers(pod) || pulls(pod));
  }

  /** `etcd: pulling registry.k8s.io/etcd:3.7.3-0` and the like for the first component that is not running. */
  waitingFor(): string | undefined {
    for (const component of ['etcd', 'kube-apiserver']) {
      const [pod] = this.of(component);
      if (!pod) return `${component}: waiting for its pod`;
      if (!pod.spec.nodeName) return `${component}: waiting for a node${component === 'etcd' ? ' and its volume' : ''}`;
      const status = containerStatus(pod, component);
      const { waiting } = status?.state ?? {};
      if (waiting?.reason && waiting.reason !== 'ContainerCreating') return `${component}: ${waiting.reason}`;
      if (waiting || !status) return `${component}: starting ${imageOf(pod, component)}`;
    }
    return undefined;
  }

  #wantedOf(component: string): number {
    return this.wanted.get(component) ?? 1;
  }
}

export function componentOf({ metadata }: Pod): string {
  return metadata.labels?.['app.kubernetes.io/name'] ?? '';
}

export function imageOf({ spec }: Pod, container: string): string | undefined {
  return spec.containers.find(({ name }) => name === container)?.image;
}

/** No node takes it. */
export function isUnschedulable({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status, reason }) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
}

/** It has its network, which the kubelet tells since 1.29, or a container. */
function startsContainers({ status }: Pod): boolean {
  return (
    (status?.conditions ?? []).some(({ type, status }) => type === 'PodReadyToStartContainers' && status === 'True') ||
    (status?.containerStatuses ?? []).some(({ state }) => state?.running !== undefined)
  );
}
