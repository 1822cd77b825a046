import type { Readable } from 'node:stream';
import { type ApplyOptions, Cluster, fieldManager, type Kind, type ListOptions } from './cluster.ts';
import type { Connection } from './connection.ts';
import type { ApiRequest } from './exchange.ts';
import type { KubeList, KubeObject } from './objects.ts';
import { pathOf, resourceOf } from './resources.ts';
import { Transport } from './transport.ts';

/** How long an answer is waited for, and how often it is asked for again. */
type Patience = Pick<ApiRequest, 'timeout' | 'retries' | 'signal'>;

/** The existing cluster beyond one namespace, for the operator and for who installs it: every call says which namespace it means. */
export class WholeCluster extends Cluster {
  get<T extends KubeObject>(kind: Kind, name: string, namespace?: string): Promise<T | undefined> {
    return this.getAt<T>(kind, namespace, name);
  }

  /** Of all namespaces where none is given. */
  list<T extends KubeObject>(kind: Kind, options: ListOptions = {}, namespace?: string): Promise<KubeList<T>> {
    return this.listAt<T>(kind, namespace, options);
  }

  /** Of all namespaces. */
  watch(kind: Kind, options: ListOptions & { resourceVersion?: string }, signal: AbortSignal): Promise<Readable> {
    return this.watchAt(resourceOf(kind), undefined, options, signal);
  }

  create<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.createAt(object, object.metadata.namespace, options);
  }

  /** In the namespace that the object names. */
  apply<T extends KubeObject>(object: T): Promise<T> {
    return this.applyAt(object, object.metadata.namespace, {});
  }

  /** Replaces a whole object; 409 when it is no longer at its resourceVersion. */
  async replace<T extends KubeObject>(object: T, patience: Patience = {}): Promise<T> {
    const path = pathOf(resourceOf(object), object.metadata.namespace, object.metadata.name);
    const request = { method: 'PUT' as const, path, query: { fieldManager }, body: object, ...patience };
    return (await this.transport.request<T>(request)).body;
  }

  /** Sets some fields of an object that belongs to no namespace. */
  merge<T extends KubeObject>(kind: Kind, name: string, fields: object): Promise<T> {
    return this.mergeAt(kind, undefined, name, fields);
  }

  /** 409 when the object is no longer at its resourceVersion. */
  setFinalizers<T extends KubeObject>(object: T, finalizers: string[]): Promise<T> {
    const { namespace, name, resourceVersion } = object.metadata;
    return this.mergeAt(object, namespace, name, { metadata: { resourceVersion, finalizers } });
  }

  delete(object: KubeObject): Promise<boolean> {
    const { namespace, name, uid } = object.metadata;
    return this.deleteAt(object, namespace, name, uid);
  }

  /**
   * Sets some fields of an object's status (https://www.rfc-editor.org/rfc/rfc7386); 409 when the object is no longer at its
   * resourceVersion, which another one of its name has never been at. A UID is no precondition of such a write.
   */
  async mergeStatus<T extends KubeObject>(object: T, status: object): Promise<T> {
    const { resourceVersion } = object.metadata;
    const path = `${pathOf(resourceOf(object), object.metadata.namespace, object.metadata.name)}/status`;
    const contentType = 'application/merge-patch+json';
    const body = { metadata: { resourceVersion }, status };
    const request = { method: 'PATCH' as const, path, query: { fieldManager }, body, contentType };
    return (await this.transport.request<T>(request)).body;
  }
}

/** Nothing is sent yet. The caller closes it. */
export function connectWhole(connection: Connection): WholeCluster {
  return new WholeCluster(new Transport(connection));
}
