import type { Duplex, Readable } from 'node:stream';
import type { SealKey } from '../pki/sealing.ts';
import { type ApplyOptions, fieldManager, type Kind, type ListOptions } from './cluster.ts';
import type { ExecOptions, ExecResult } from './exec.ts';
import { execInPod } from './exec-in-pod.ts';
import { ExtensibleCluster } from './extensible-cluster.ts';
import type { Extensions } from './extensions.ts';
import { forwardedStream, forwardProtocol } from './forward.ts';
import type { KubeList, KubeObject, OwnerReference, Pod } from './objects.ts';
import { pathOf, resourceOf } from './resources.ts';
import type { Transport } from './transport.ts';

export interface LogOptions {
  container?: string;
  tailLines?: number;
  previous?: boolean;
  follow?: boolean;
  timestamps?: boolean;
  sinceSeconds?: number;
  /** RFC 3339, to the second. */
  sinceTime?: string;
  signal?: AbortSignal;
}

/** Who works on planes. Another run that wants the same plane meanwhile is told. */
export interface Actor {
  /** `anna@laptop (process 4711)`. */
  name: string;
  /** What is written beside the name, so that a later run on the same machine sees that this one has ended. */
  process?: string;
  /** Whether the process that another run wrote down still runs; undefined when that cannot be seen from here. */
  isRunning?(process: string | undefined): boolean | undefined;
}

/** What is known of whoever connects. */
export interface InfraOptions {
  /** What opens the sealed key of the CA of the namespace's plane, when the person gave it. */
  sealKey?: SealKey;
  /** By default a run of k8sk8s of which nothing else is known. */
  actor?: Actor;
  /**
   * How the hosted API servers are reached from here: by the address that people use (the default), or by the cluster IPs of
   * their services, which is for programs that run in the infra cluster.
   */
  hostedBy?: 'address' | 'service';
  /** Owns every object that is made or applied here and names no other owner: all of them go when it goes. */
  owner?: OwnerReference;
  /** Bytes of one answer of a hosted API that are read at most, where whoever has the plane is not trusted with this process' memory. */
  longestHosted?: number;
  /** UID of the HostedControlPlane for which an operator works here; nobody else has one. */
  object?: string;
}

/** The existing cluster, seen through one namespace of it: no call can name another one, and only `listEverywhere` goes beyond. */
export class InfraCluster extends ExtensibleCluster {
  readonly namespace: string;
  readonly sealKey?: SealKey;
  readonly actor: Actor;
  readonly hostedBy: 'address' | 'service';
  readonly owner?: OwnerReference;
  readonly object?: string;
  readonly longestHosted?: number;

  constructor(transport: Transport, namespace: string, options: InfraOptions = {}, extensions?: Extensions) {
    super(transport, extensions);
    this.namespace = namespace;
    this.sealKey = options.sealKey;
    this.actor = options.actor ?? { name: 'k8sk8s' };
    this.hostedBy = options.hostedBy ?? 'address';
    this.owner = options.owner;
    this.object = options.object;
    this.longestHosted = options.longestHosted;
  }

  /** The same namespace by the same connections; what is made or applied has this owner, or none. */
  ownedBy(owner: OwnerReference | undefined): InfraCluster {
    const { sealKey, actor, hostedBy, object, longestHosted } = this;
    const options = { sealKey, actor, hostedBy, object, longestHosted, owner };
    return new InfraCluster(this.transport, this.namespace, options, this.extensions);
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
    return this.createAt(owned(object, this.owner), this.namespace, options);
  }

  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.applyAt(owned(object, this.owner), this.namespace, options);
  }

  /** Replaces a whole object; 409 when it is no longer at its resourceVersion. */
  async replace<T extends KubeObject>(object: T): Promise<T> {
    const path = pathOf(resourceOf(object), this.namespace, object.metadata.name);
    return (await this.transport.request<T>({ method: 'PUT', path, query: { fieldManager }, body: object })).body;
  }

  merge<T extends KubeObject>(kind: Kind, name: string, fields: object, options: ApplyOptions = {}): Promise<T> {
    return this.mergeAt(kind, this.namespace, name, fields, options);
  }

  delete(kind: Kind, name: string, uid?: string): Promise<boolean> {
    return this.deleteAt(kind, this.namespace, name, uid);
  }

  /** Deletes an object and leaves the objects that it made as they are: a StatefulSet's pods go on running. */
  deleteAlone(kind: Kind, name: string, uid?: string): Promise<boolean> {
    return this.deleteAt(kind, this.namespace, name, uid, { propagationPolicy: 'Orphan' });
  }

  /** Ends a pod, which is given no more than `gracePeriodSeconds` also where it is ending already. */
  endPod({ metadata: { name, uid } }: KubeObject, gracePeriodSeconds: number): Promise<boolean> {
    return this.deleteAt({ apiVersion: 'v1', kind: 'Pod' }, this.namespace, name, uid, { gracePeriodSeconds });
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

  /** A container's log as it is written, until the container ends or `signal` fires; with `follow: false` as it is now. */
  followLog(pod: string, options: LogOptions): Promise<Readable> {
    const { signal, ...query } = options;
    return this.transport.stream({
      method: 'GET',
      path: this.#logPath(pod),
      query: { follow: true, ...query },
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
  exec(pod: string, command: string[], options?: ExecOptions): Promise<ExecResult> {
    return execInPod(this.transport, { name: pod, namespace: this.namespace }, command, options);
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

/** Every apply says it again: a field that an apply leaves out, server-side apply takes away. */
function owned<T extends KubeObject>(object: T, owner: OwnerReference | undefined): T {
  if (!owner || object.metadata.ownerReferences) return object;
  return { ...object, metadata: { ...object.metadata, ownerReferences: [owner] } };
}
