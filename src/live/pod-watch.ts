import { setTimeout as sleep } from 'node:timers/promises';
import type { UserError } from '../base/errors.ts';
import { fieldManager } from '../kube/cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Event, KubeObject, Pod, Workload } from '../kube/objects.ts';
import { follow } from '../kube/watch.ts';
import { type Component, containersOf } from '../plane/components/lookup.ts';
import { planeSelector } from '../plane/names.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { podFailure, unschedulable } from './pod-failure.ts';
import { podProblems } from './pod-problems.ts';
import { isReady } from './pods.ts';
import { Refusals, type RefusedPod } from './refusals.ts';
import { componentOf, SeenPods } from './seen-pods.ts';

/** A pod may be unschedulable for a moment, while its node or volume is being made. */
const unschedulableGrace = 2000;
/** Milliseconds until an API server that runs and is not ready is looked at again. */
const lookAgainAfter = 15_000;

/**
 * Watches a plane's pods and the namespace's events, to say at any time what is being waited for and to stop at once
 * when something is wrong that waiting does not mend.
 */
export class PodWatch {
  readonly #cluster: InfraCluster;
  readonly #seen = new SeenPods();
  readonly #refusals: Refusals;
  readonly #stop = new AbortController();
  /** Hash of the template that a component's pods are to have, once it is known. */
  #templates = new Map<string, string>();
  /** When a workload's pods were last told to be made anew, milliseconds, where that was by this run. */
  readonly #renewed = new Map<string, number>();
  readonly #failures = new Map<string, { pod: Pod; error: UserError }>();
  /** API servers that are looked at again. */
  readonly #awaited = new Set<string>();
  #examining: Promise<void> = Promise.resolve();

  constructor(cluster: InfraCluster, planeId: string) {
    this.#cluster = cluster;
    this.#refusals = new Refusals(cluster);
    const signal = this.#stop.signal;
    const ignore = () => undefined;
    const pods = { apiVersion: 'v1', kind: 'Pod' };
    follow<Pod>(cluster, pods, { labelSelector: planeSelector(planeId) }, signal, (event) => {
      const pod = this.#seen.take(event);
      if (pod) this.#examining = this.#examining.then(() => this.#examine(pod)).catch(ignore);
      else this.#failures.delete(event.object.metadata.name);
    }).catch(ignore);
    follow<Event>(cluster, { apiVersion: 'v1', kind: 'Event' }, {}, signal, ({ type, object }) => {
      if (type !== 'DELETED') this.#refusals.take(object);
    }).catch(ignore);
  }

  /** Tells what is about to be applied: pods of an earlier template are on their way out, whatever ails them. */
  expect(workloads: KubeObject[]): void {
    this.#templates = new Map(workloads.map((workload) => [workload.metadata.name, templateHashOf(workload) ?? '']));
    this.#seen.wanted = new Map(
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
    return this.failureOf();
  }

  /** What is wrong with the pods of a component, or of any where none is named. */
  failureOf(component?: string): UserError | undefined {
    const isOf = (name: string) => component === undefined || name === component;
    const refused = this.#refusals.pods.find((each) => isOf(each.component) && !this.#isOver(each));
    if (refused) return refused.error;
    const concerns = (pod: Pod) => isOf(componentOf(pod)) && this.#counts(pod);
    for (const { pod, error } of this.#failures.values()) if (concerns(pod)) return error;
    // A volume that is made where its pod goes is made before the pod has its node.
    const bindsVolume = isOf('etcd') && this.#seen.of('etcd').some((pod) => !pod.spec.nodeName);
    if (bindsVolume && this.#refusals.volume) return this.#refusals.volume;
    if (this.#seen.makesRoom) return undefined;
    const pod = this.#seen.unschedulable(unschedulableGrace).find((each) => !waitsForClaim(each) && concerns(each));
    return pod && unschedulable(pod);
  }

  /** `etcd: pulling registry.k8s.io/etcd:3.7.3-0` and the like for the first component that is not running. */
  waitingFor(): string | undefined {
    return this.#seen.waitingFor();
  }

  /** All of etcd's pods are at the point where their containers are made, or wait for their images. */
  get etcdStarts(): boolean {
    return this.#seen.etcdStarts;
  }

  /** Components of which a pod is missing or not ready. */
  get unready(): Component[] {
    return this.#seen.unready;
  }

  /** A pod of the API server is ready. */
  get apiServerReady(): boolean {
    return this.#seen.ready('kube-apiserver') > 0;
  }

  get namespace(): string {
    return this.#cluster.namespace;
  }

  close(): void {
    this.#stop.abort();
  }

  /** The pod came after all, or will, since another one is leaving its room. */
  #isOver({ component, when, byQuota }: RefusedPod): boolean {
    const came = this.#seen.of(component).some(({ metadata }) => Date.parse(metadata.creationTimestamp ?? '') >= when);
    return came || (byQuota && this.#seen.makesRoom);
  }

  #counts(pod: Pod): boolean {
    const component = componentOf(pod);
    const wanted = this.#templates.get(component);
    const made = Date.parse(pod.metadata.creationTimestamp ?? '');
    return (
      wanted !== undefined &&
      pod.metadata.annotations?.[templateHash] === wanted &&
      !(made < (this.#renewed.get(component) ?? 0))
    );
  }

  async #examine(pod: Pod): Promise<void> {
    for (const problem of podProblems(pod, containersOf(componentOf(pod)))) {
      const error = await podFailure(this.#cluster, pod, problem);
      if (error && this.#seen.has(pod)) this.#failures.set(pod.metadata.name, { pod, error });
      if (error) return;
    }
    if (componentOf(pod) === 'kube-apiserver' && !isReady(pod)) this.#lookAgain(pod.metadata.name);
  }

  /** Of a container that runs and does not become ready, no event tells. */
  #lookAgain(name: string): void {
    if (this.#awaited.has(name)) return;
    this.#awaited.add(name);
    sleep(lookAgainAfter, undefined, { signal: this.#stop.signal, ref: false })
      .then(() => {
        this.#awaited.delete(name);
        const pod = this.#seen.of('kube-apiserver').find(({ metadata }) => metadata.name === name);
        if (pod) this.#examining = this.#examining.then(() => this.#examine(pod));
        return this.#examining;
      })
      .catch(() => undefined);
  }
}

/** The pod waits for a volume that is being made, and not for a node. */
function waitsForClaim({ status }: Pod): boolean {
  const message = status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? '';
  return /unbound immediate PersistentVolumeClaims|persistentvolumeclaim "[^"]*" not found/.test(message);
}
