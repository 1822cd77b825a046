import type { Kind } from './cluster.ts';
import { ApiError } from './errors.ts';
import type { Resource } from './resources.ts';
import type { Transport } from './transport.ts';

/** Where an API server serves kinds that are not k8sk8s' own, by its discovery. */
export class Discovered {
  readonly #transport: Transport;
  readonly #known = new Map<string, Resource>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @throws ApiError 404 where the kind is not served, which a definition that has just been made is a moment later */
  async resourceOf({ apiVersion, kind }: Kind): Promise<Resource> {
    const known = this.#known.get(`${apiVersion}/${kind}`);
    if (known) return known;
    const { body } = await this.#transport.request<{
      resources?: { name: string; kind: string; namespaced: boolean }[];
    }>({ method: 'GET', path: apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}` });
    // A subresource has the kind of its own objects.
    const found = body.resources?.find((each) => each.kind === kind && !each.name.includes('/'));
    if (!found)
      throw new ApiError({
        status: 404,
        reason: 'NotFound',
        message: `the kind ${kind} of ${apiVersion} is not served`,
        of: 'hosted',
      });
    const resource = { apiVersion, kind, plural: found.name, namespaced: found.namespaced };
    this.#known.set(`${apiVersion}/${kind}`, resource);
    return resource;
  }
}
