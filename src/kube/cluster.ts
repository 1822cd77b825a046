import type { Duplex, Readable } from 'node:stream';
import type { SealKey } from '../pki/sealing.ts';
import { ApiError, isNotFound } from './errors.ts';
import { converse, type ExecOptions, type ExecResult, execProtocol } from './exec.ts';
import { forwardedStream, forwardProtocol } from './forward.ts';
import type { KubeList, KubeObject, Pod } from './objects.ts';
import { pathOf, type Resource, resourceOf } from './resources.ts';
import { applyPatch, type Transport } from './transport.ts';

/** The name under which k8sk8s owns fields (https://kubernetes.io/docs/reference/using-api/server-side-apply/). */
export const fieldManager = 'k8sk8s';

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ApplyOptions {
  dryRun?: boolean;
}

export interface LogOptions {
  container?: string;
  tailLines?: number;
  previous?: boolean;
  follow?: boolean;
  timestamps?: boolean;
  sinceSeconds?: number;
  signal?: AbortSignal;
}

/** `v1`+`Secret` and the like: what names a kind in every call below. */
export interface Kind {
  apiVersion: string;
  kind: string;
}

/** Calls that both clusters answer. Reads and writes go through the paths of resources.ts, nothing is stripped or cached. */
abstract class Cluster {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  get server(): string {
    return this.transport.server.origin;
  }

  async close(): Promise<void> {
    await this.transport.close();
  }

  /** The API server's `/version`. */
  async version(): Promise<{
    gitVersion: string;
    major: string;
    minor: string;
    gitCommit: string;
    goVersion: string;
    platform: string;
    buildDate: string;
  }> {
    return (await this.transport.request<Awaited<ReturnType<Cluster['version']>>>({ method: 'GET', path: '/version' }))
      .body;
  }

  protected async getAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined> {
    try {
      return (await this.transport.request<T>({ method: 'GET', path: pathOf(resourceOf(kind), namespace, name) })).body;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  protected async listAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    options: ListOptions,
  ): Promise<KubeList<T>> {
    const list = (
      await this.transport.request<KubeList<T>>({
        method: 'GET',
        path: pathOf(resourceOf(kind), namespace),
        query: { ...options },
      })
    ).body;
    // Items of a list come without their kind.
    for (const item of list.items) Object.assign(item, { apiVersion: kind.apiVersion, kind: kind.kind });
    return list;
  }

  protected async createAt<T extends KubeObject>(
    object: T,
    namespace: string | undefined,
    options: ApplyOptions,
  ): Promise<T> {
    const query = { fieldManager, fieldValidation: 'Strict', dryRun: options.dryRun ? 'All' : undefined };
    return (
      await this.transport.request<T>({
        method: 'POST',
        path: pathOf(resourceOf(object), namespace),
        query,
        body: object,
        repeatable: options.dryRun,
      })
    ).body;
  }

  /** Server-side apply, taking over fields that somebody else set; unknown fields are refused. */
  protected async applyAt<T extends KubeObject>(
    object: T,
    namespace: string | undefined,
    options: ApplyOptions,
  ): Promise<T> {
    const query = { fieldManager, force: true, fieldValidation: 'Strict', dryRun: options.dryRun ? 'All' : undefined };
    const path = pathOf(resourceOf(object), namespace, object.metadata.name);
    return (
      await this.transport.request<T>({
        method: 'PATCH',
        path,
        query,
        body: object,
        contentType: applyPatch,
      })
    ).body;
  }

  /** Sets some fields of an object and leaves all others alone (https://www.rfc-editor.org/rfc/rfc7386). */
  protected async mergeAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    fields: object,
  ): Promise<T> {
    const path = pathOf(resourceOf(kind), namespace, name);
    const contentType = 'application/merge-patch+json';
    return (
      await this.transport.request<T>({ method: 'PATCH', path, query: { fieldManager }, body: fields, contentType })
    ).body;
  }

  /**
   * Deletes one object; with `uid` only that very one.
   *
   * @returns false when it was gone already
   */
  protected async deleteAt(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    uid: string | undefined,
    propagationPolicy: 'Background' | 'Orphan' = 'Background',
  ): Promise<boolean> {
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy,
      preconditions: uid ? { uid } : undefined,
    };
    try {
      await this.transport.request({ method: 'DELETE', path: pathOf(resourceOf(kind), namespace, name), body });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** An open watch of one kind from `resourceVersion` on, one JSON event a line. */
  protected watchAt(
    resource: Resource,
    namespace: string | undefined,
    options: ListOptions & { resourceVersion?: string },
    signal: AbortSignal,
  ): Promise<Readable> {
    return this.transport.stream({
      method: 'GET',
      path: pathOf(resource, namespace),
      query: { ...options, watch: true, allowWatchBookmarks: true, timeoutSeconds: 300 },
      signal,
    });
  }
}

/** The existing cluster, seen through one namespace of it: no call can name another one, and only `listEverywhere` goes beyond. */
export class InfraCluster extends Cluster {
  readonly namespace: string;
  /** What opens the sealed key of the CA of the namespace's plane, when the person gave it. */
  readonly sealKey?: SealKey;

  constructor(transport: Transport, namespace: string, sealKey?: SealKey) {
    super(transport);
    this.namespace = namespace;
    this.sealKey = sealKey;
  }

  get<T extends KubeObject>(kind: Kind, name: string): Promise<T | undefined> {
    return this.getAt<T>(kind, this.namespace, name);
  }

  list<T extends KubeObject>(kind: Kind, options: ListOptions = {}): Promise<KubeList<T>> {
    return this.listAt<T>(kind, this.namespace, options);
  }

  /** Of all namespaces; 403 for everybody but the cluster's own administrators. */
  listEverywhere<T extends KubeObject>(kind: Kind, options: ListOptions = {}): Promise<KubeList<T>> {
    return this.listAt<T>(kind, undefined, options);
  }

  create<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.createAt(object, this.namespace, options);
  }

  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.applyAt(object, this.namespace, options);
  }

  /** Replaces a whole object; 409 when it is no longer at its resourceVersion. */
  async replace<T extends KubeObject>(object: T): Promise<T> {
    const path = pathOf(resourceOf(object), this.namespace, object.metadata.name);
    return (await this.transport.request<T>({ method: 'PUT', path, query: { fieldManager }, body: object })).body;
  }

  merge<T extends KubeObject>(kind: Kind, name: string, fields: object): Promise<T> {
    return this.mergeAt(kind, this.namespace, name, fields);
  }

  delete(kind: Kind, name: string, uid?: string): Promise<boolean> {
    return this.deleteAt(kind, this.namespace, name, uid);
  }

  /** Deletes an object and leaves the objects that it made as they are: a StatefulSet's pods go on running. */
  deleteAlone(kind: Kind, name: string, uid?: string): Promise<boolean> {
    return this.deleteAt(kind, this.namespace, name, uid, 'Orphan');
  }

  watch(kind: Kind, options: ListOptions & { resourceVersion?: string }, signal: AbortSignal): Promise<Readable> {
    return this.watchAt(resourceOf(kind), this.namespace, options, signal);
  }

  /** A container's log as text. */
  async log(pod: string, options: LogOptions = {}): Promise<string> {
    const { signal, ...query } = options;
    return (
      await this.transport.request<string>({
        method: 'GET',
        path: this.#logPath(pod),
        query: { ...query },
        signal,
        retries: 0,
        text: true,
      })
    ).body;
  }

  /** A container's log as it is written, until the container ends or `signal` fires. */
  followLog(pod: string, options: LogOptions): Promise<Readable> {
    const { signal, ...query } = options;
    return this.transport.stream({
      method: 'GET',
      path: this.#logPath(pod),
      query: { ...query, follow: true },
      signal,
    });
  }

  #logPath(pod: string): string {
    return `${this.#podPath(pod)}/log`;
  }

  #podPath(pod: string): string {
    return pathOf(resourceOf({ apiVersion: 'v1', kind: 'Pod' }), this.namespace, pod);
  }

  /**
   * Runs a command in a container, without a shell.
   *
   * @returns its exit code and output, also when it failed
   * @throws ApiError when the pod is not there or may not be entered, ExecError when the command was not carried out
   */
  async exec(pod: string, command: string[], options: ExecOptions = {}): Promise<ExecResult> {
    const query = new URLSearchParams(command.map((word): [string, string] => ['command', word]));
    query.set('stdout', 'true');
    query.set('stderr', 'true');
    if (options.stdin) query.set('stdin', 'true');
    if (options.container !== undefined) query.set('container', options.container);
    const socket = await this.transport.webSocket(`${this.#podPath(pod)}/exec`, query, execProtocol, options.signal);
    return converse(socket, options);
  }

  /**
   * A byte stream to a port of a pod, through the API server and the kubelet.
   *
   * @throws ApiError when the pod is not there or may not be reached so
   */
  async forward(pod: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    const query = new URLSearchParams({ ports: String(port) });
    const path = `${this.#podPath(pod)}/portforward`;
    return forwardedStream(await this.transport.webSocket(path, query, forwardProtocol, signal));
  }

  /** Answers of the authorizer about the caller: a review is an ordinary POST without a namespace in its path. */
  async review<T extends Kind>(review: T): Promise<T & { status: Record<string, unknown> }> {
    const answer = await this.transport.request<T & { status: Record<string, unknown> }>({
      method: 'POST',
      path: pathOf(resourceOf(review)),
      body: review,
      repeatable: true,
    });
    return answer.body;
  }

  pods(labelSelector: string): Promise<KubeList<Pod>> {
    return this.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, { labelSelector });
  }
}

/** The cluster that k8sk8s made: every object says itself where it lives. */
export class HostedCluster extends Cluster {
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

  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.applyAt(object, object.metadata.namespace, options);
  }

  delete(kind: Kind, name: string, namespace?: string): Promise<boolean> {
    return this.deleteAt(kind, namespace, name, undefined);
  }

  merge<T extends KubeObject>(kind: Kind, name: string, fields: object, namespace?: string): Promise<T> {
    return this.mergeAt(kind, namespace, name, fields);
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

  /** `ok`, or the checks that are not: `/readyz?verbose` (https://kubernetes.io/docs/reference/using-api/health-checks/). */
  async ready(timeout: number): Promise<{ ready: boolean; failing: string[] }> {
    try {
      await this.transport.request({ method: 'GET', path: '/readyz', timeout, retries: 0, text: true });
      return { ready: true, failing: [] };
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 500) throw error;
      return { ready: false, failing: [...error.message.matchAll(/\[-\](\S+)/g)].map((match) => match[1] ?? '') };
    }
  }
}
