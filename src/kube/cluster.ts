import type { Readable } from 'node:stream';
import { isNotFound } from './errors.ts';
import type { KubeList, KubeObject } from './objects.ts';
import { pathOf, type Resource, resourceOf } from './resources.ts';
import { applyPatch, type Transport } from './transport.ts';

/** The name under which k8sk8s owns fields (https://kubernetes.io/docs/reference/using-api/server-side-apply/). */
export const fieldManager = 'k8sk8s';

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
  /** Without spec, data and status: what is only looked at for changes is not held in memory, and no Secret is read. */
  metadataOnly?: boolean;
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches */
const partial = (kind: string) => `application/json;as=${kind};g=meta.k8s.io;v=v1`;

export interface ApplyOptions {
  dryRun?: boolean;
}

/** `v1`+`Secret` and the like: what names a kind in every call below. */
export interface Kind {
  apiVersion: string;
  kind: string;
}

/** `version.Info` of k8s.io/apimachinery, as far as it is read. */
interface VersionInfo {
  gitVersion: string;
  major: string;
  minor: string;
  gitCommit: string;
  goVersion: string;
  platform: string;
  buildDate: string;
}

/** Of https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/. */
export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Orphan';
  /** Seconds that a pod is given to end; its own when left out. */
  gracePeriodSeconds?: number;
}

/** 5 to 10 minutes: many watches do not end together. */
const watchSeconds = () => Math.round(300 * (1 + Math.random()));

/** Calls that both clusters answer. Reads and writes go through the paths of resources.ts, nothing is stripped or cached. */
export abstract class Cluster {
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
  async version(): Promise<VersionInfo> {
    return (await this.transport.request<VersionInfo>({ method: 'GET', path: '/version' })).body;
  }

  /** Where an object is or, without its name, where it is made. */
  protected async pathTo(kind: Kind, namespace: string | undefined, name?: string): Promise<string> {
    return pathOf(resourceOf(kind), namespace, name);
  }

  protected async getAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined> {
    try {
      const path = await this.pathTo(kind, namespace, name);
      return (await this.transport.request<T>({ method: 'GET', path })).body;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  protected async listAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    { metadataOnly, ...query }: ListOptions,
  ): Promise<KubeList<T>> {
    const list = (
      await this.transport.request<KubeList<T>>({
        method: 'GET',
        path: pathOf(resourceOf(kind), namespace),
        query,
        ...(metadataOnly && { accept: partial('PartialObjectMetadataList') }),
      })
    ).body;
    // Of metadata alone, an empty list comes as null.
    list.items ??= [];
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
        path: await this.pathTo(object, namespace),
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
    const path = await this.pathTo(object, namespace, object.metadata.name);
    const request = { method: 'PATCH', path, query, body: object, contentType: applyPatch } as const;
    return (await this.transport.request<T>(request)).body;
  }

  /** Sets some fields of an object and leaves all others alone (https://www.rfc-editor.org/rfc/rfc7386). */
  protected async mergeAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    fields: object,
    { dryRun }: ApplyOptions = {},
  ): Promise<T> {
    const path = pathOf(resourceOf(kind), namespace, name);
    const contentType = 'application/merge-patch+json';
    const query = { fieldManager, dryRun: dryRun ? 'All' : undefined };
    return (await this.transport.request<T>({ method: 'PATCH', path, query, body: fields, contentType })).body;
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
    { propagationPolicy = 'Background', gracePeriodSeconds }: DeleteOptions = {},
  ): Promise<boolean> {
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy,
      gracePeriodSeconds,
      preconditions: uid ? { uid } : undefined,
    };
    try {
      await this.transport.request({ method: 'DELETE', path: await this.pathTo(kind, namespace, name), body });
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
    { metadataOnly, ...options }: ListOptions & { resourceVersion?: string },
    signal: AbortSignal,
  ): Promise<Readable> {
    return this.transport.stream({
      method: 'GET',
      path: pathOf(resource, namespace),
      query: { ...options, watch: true, allowWatchBookmarks: true, timeoutSeconds: watchSeconds() },
      ...(metadataOnly && { accept: partial('PartialObjectMetadata') }),
      signal,
    });
  }
}
