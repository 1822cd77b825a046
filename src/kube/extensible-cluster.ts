import type { Readable } from 'node:stream';
import { type ApplyOptions, Cluster, type Kind, type ListOptions } from './cluster.ts';
import { isForbidden } from './errors.ts';
import { Extensions } from './extensions.ts';
import type { KubeList, KubeObject } from './objects.ts';
import { type Resource, resourceOf, versionsOfExtension } from './resources.ts';
import type { Transport } from './transport.ts';

/**
 * Calls to a cluster that may serve kinds which not every cluster has, in one of several versions: each call finds the version that is
 * served. Of a kind that is not served there are no objects, and to make one is refused by the API server itself.
 */
export class ExtensibleCluster extends Cluster {
  protected readonly extensions: Extensions;

  constructor(transport: Transport, extensions = new Extensions(transport)) {
    super(transport);
    this.extensions = extensions;
  }

  /** The kind in the version that the cluster serves; undefined where it serves none. */
  served<K extends Kind>(kind: K): Promise<K | undefined> {
    return this.extensions.served(kind);
  }

  /** One object of another namespace, where the caller may read it: a Gateway, say. @throws ApiError 403 where not */
  async getElsewhere<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<T | undefined> {
    const served = await this.served(kind);
    return served && super.getAt<T>(served, namespace, name);
  }

  protected override async getAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined> {
    const served = await this.served(kind);
    return served && this.#orNone(kind, super.getAt<T>(served, namespace, name), undefined);
  }

  protected override async listAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    options: ListOptions,
  ): Promise<KubeList<T>> {
    const served = await this.served(kind);
    const none: KubeList<T> = { metadata: {}, items: [] };
    return served ? this.#orNone(kind, super.listAt<T>(served, namespace, options), none) : none;
  }

  protected override async createAt<T extends KubeObject>(
    object: T,
    namespace: string | undefined,
    options: ApplyOptions,
  ): Promise<T> {
    return super.createAt(await this.#asServed(object), namespace, options);
  }

  protected override async applyAt<T extends KubeObject>(
    object: T,
    namespace: string | undefined,
    options: ApplyOptions,
  ): Promise<T> {
    return super.applyAt(await this.#asServed(object), namespace, options);
  }

  protected override async mergeAt<T extends KubeObject>(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    fields: object,
    options?: ApplyOptions,
  ): Promise<T> {
    return super.mergeAt(await this.#asServed(kind), namespace, name, fields, options);
  }

  protected override async deleteAt(
    kind: Kind,
    ...rest: [namespace: string | undefined, name: string, uid: string | undefined, options?: object]
  ): Promise<boolean> {
    return super.deleteAt(await this.#asServed(kind), ...rest);
  }

  protected override async watchAt(
    resource: Resource,
    ...rest: [namespace: string | undefined, options: ListOptions & { resourceVersion?: string }, signal: AbortSignal]
  ): Promise<Readable> {
    return super.watchAt(resourceOf(await this.#asServed(resource)), ...rest);
  }

  /** Who may not read such objects has none: where a plane has some, preflight asks for the right. */
  async #orNone<T>(kind: Kind, read: Promise<T>, none: T): Promise<T> {
    try {
      return await read;
    } catch (error) {
      if (versionsOfExtension(kind) && isForbidden(error)) return none;
      throw error;
    }
  }

  async #asServed<K extends Kind>(kind: K): Promise<K> {
    return (await this.served(kind)) ?? kind;
  }
}
