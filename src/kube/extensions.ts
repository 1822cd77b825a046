import type { Kind } from './cluster.ts';
import { isForbidden, isNotFound } from './errors.ts';
import { resourceOf, versionsOfExtension } from './resources.ts';
import type { Transport } from './transport.ts';

/** Milliseconds for which an answer counts: somebody may add a CustomResourceDefinition while a long program runs. */
const lasting = 30_000;

interface Served {
  at: number;
  /** Plurals of the version; none where it is not served, undefined where the caller may not ask. */
  resources: Promise<string[] | undefined>;
}

/** Which kinds of CustomResourceDefinitions and aggregated APIs one API server serves, by its discovery. */
export class Extensions {
  readonly #transport: Transport;
  readonly #versions = new Map<string, Served>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * The kind in the best version that is served.
   *
   * @returns undefined where none is; a kind that every cluster has, and one that may not be asked for, as it was given
   */
  async served<K extends Kind>(kind: K): Promise<K | undefined> {
    const versions = versionsOfExtension(kind);
    if (!versions) return kind;
    const lists = await Promise.all(versions.map((version) => this.#resourcesOf(version)));
    const { plural } = resourceOf(kind);
    const apiVersion = versions.find((_, index) => lists[index]?.includes(plural));
    if (apiVersion !== undefined) return { ...kind, apiVersion };
    return lists.includes(undefined) ? kind : undefined;
  }

  #resourcesOf(version: string): Promise<string[] | undefined> {
    const known = this.#versions.get(version);
    if (known && performance.now() - known.at < lasting) return known.resources;
    const resources = this.#ask(version);
    this.#versions.set(version, { at: performance.now(), resources });
    resources.catch(() => this.#versions.delete(version));
    return resources;
  }

  async #ask(version: string): Promise<string[] | undefined> {
    try {
      const { body } = await this.#transport.request<{ resources?: { name: string }[] }>({
        method: 'GET',
        path: `/apis/${version}`,
      });
      return (body.resources ?? []).map(({ name }) => name);
    } catch (error) {
      if (isNotFound(error)) return [];
      if (isForbidden(error)) return undefined;
      throw error;
    }
  }
}
