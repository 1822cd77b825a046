import {
  type ApplyOptions,
  Cluster,
  type DeleteOptions,
  fieldManager,
  type Kind,
  type ListOptions,
} from './cluster.ts';
import { Discovered } from './discovered.ts';
import { ApiError, isNotFound } from './errors.ts';
import type { ExecOptions, ExecResult } from './exec.ts';
import { execInPod } from './exec-in-pod.ts';
import type { KubeList, KubeObject } from './objects.ts';
import { knownResource, pathOf, resourceOf } from './resources.ts';
import { applyPatch } from './transport.ts';

/** Bytes of an answer about health: it names some fifty checks. */
const longestHealth = 1 << 20;

/** The cluster that k8sk8s made: every object says itself where it lives. */
export class HostedCluster extends Cluster {
  readonly #discovered = new Discovered(this.transport);

  /** The objects of a network driver may be of any kind, and name no namespace, which means what kubectl means by that. */
  protected override async pathTo(kind: Kind, namespace: string | undefined, name?: string): Promise<string> {
    const resource = knownResource(kind) ?? (await this.#discovered.resourceOf(kind));
    return pathOf(resource, namespace ?? 'default', name);
  }

  get<T extends KubeObject>(kind: Kind, name: string, namespace?: string): Promise<T | undefined> {
    return this.getAt<T>(kind, namespace, name);
  }

  list<T extends KubeObject>(kind: Kind, options: ListOptions & { namespace?: string } = {}): Promise<KubeList<T>> {
    const { namespace, ...rest } = options;
    return this.listAt<T>(kind, namespace, rest);
  }

  create<T extends KubeObject>(object: T): Promise<T> {
    return this.createAt(object, object.metadata.namespace, {});
  }

  /** Whether an object could be made, asked once: nothing is stored. @throws ApiError with the reason why not */
  async tryCreate(object: KubeObject): Promise<void> {
    const path = pathOf(resourceOf(object), object.metadata.namespace);
    await this.transport.request({ method: 'POST', path, query: { dryRun: 'All' }, body: object, retries: 0 });
  }

  /** The same of an apply: it takes what is there already, and asks every webhook and policy about it. */
  async tryApply(object: KubeObject, signal: AbortSignal): Promise<void> {
    const path = pathOf(resourceOf(object), object.metadata.namespace, object.metadata.name);
    const query = { fieldManager, force: true, dryRun: 'All' };
    await this.transport.request({
      method: 'PATCH',
      path,
      query,
      body: object,
      contentType: applyPatch,
      signal,
      retries: 0,
    });
  }

  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.applyAt(object, object.metadata.namespace, options);
  }

  delete(kind: Kind, name: string, namespace?: string, options?: DeleteOptions): Promise<boolean> {
    return this.deleteAt(kind, namespace, name, undefined, options);
  }

  merge<T extends KubeObject>(kind: Kind, name: string, fields: object, namespace?: string): Promise<T> {
    return this.mergeAt(kind, namespace, name, fields);
  }

  /** Ends a pod where no PodDisruptionBudget is against it. @throws ApiError 429 where one is */
  async evict(name: string, namespace: string): Promise<void> {
    const path = `${pathOf(resourceOf({ apiVersion: 'v1', kind: 'Pod' }), namespace, name)}/eviction`;
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
    // 429 is the answer, and not a server that has too much to do.
    await this.transport.request({ method: 'POST', path, body, retries: 0 });
  }

  /** Runs a command in a container of a pod, as that of the infra cluster does. */
  exec(pod: string, namespace: string, command: string[], options?: ExecOptions): Promise<ExecResult> {
    return execInPod(this.transport, { name: pod, namespace }, command, options);
  }

  /** Says yes to a CertificateSigningRequest, given with the condition that says so. */
  async approve<T extends KubeObject>(request: T): Promise<T> {
    const path = `${pathOf(resourceOf(request), undefined, request.metadata.name)}/approval`;
    return (await this.transport.request<T>({ method: 'PUT', path, query: { fieldManager }, body: request })).body;
  }

  /** Names of all objects of a kind, page by page: what is in them stays where it is. */
  async names(kind: Kind): Promise<{ name: string; namespace?: string }[]> {
    const names: { name: string; namespace?: string }[] = [];
    let next: string | undefined;
    do {
      const { body } = await this.transport.request<KubeList<KubeObject>>({
        method: 'GET',
        path: pathOf(resourceOf(kind)),
        query: { limit: 500, continue: next },
        accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      });
      names.push(...body.items.map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace })));
      next = body.metadata.continue || undefined;
    } while (next);
    return names;
  }

  /**
   * Lets the API server write an object anew as it is: it stores it by its present configuration, where that is not how it
   * is stored already.
   *
   * @returns false when it is gone
   */
  async rewrite(kind: Kind, name: string, namespace?: string): Promise<boolean> {
    const path = pathOf(resourceOf(kind), namespace, name);
    try {
      await this.transport.request({ method: 'PATCH', path, body: {}, contentType: 'application/merge-patch+json' });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** The API server's own metrics, in Prometheus' text format. */
  async metrics(): Promise<string> {
    return (await this.transport.request<string>({ method: 'GET', path: '/metrics', text: true })).body;
  }

  /** A worker's kubelet's metrics, by way of the API server. @param timeout milliseconds */
  async kubeletMetrics(node: string, timeout: number): Promise<string> {
    const path = `${pathOf(resourceOf({ apiVersion: 'v1', kind: 'Node' }), undefined, node)}/proxy/metrics`;
    return (await this.transport.request<string>({ method: 'GET', path, text: true, timeout, retries: 0 })).body;
  }

  /** `ok`, or the checks that are not: `/readyz?verbose` (https://kubernetes.io/docs/reference/using-api/health-checks/). */
  async ready(timeout: number): Promise<{ ready: boolean; failing: string[] }> {
    try {
      const request = {
        method: 'GET' as const,
        path: '/readyz',
        timeout,
        retries: 0,
        text: true,
        longest: longestHealth,
      };
      const { status } = await this.transport.request(request);
      // Of an API server there is no other, but somebody may stand in its place.
      return { ready: status === 200, failing: [] };
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 500) throw error;
      return { ready: false, failing: [...error.message.matchAll(/\[-\](\S+)/g)].map((match) => match[1] ?? '') };
    }
  }
}
