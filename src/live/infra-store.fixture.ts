import { ApiError } from '../kube/errors.ts';
import type { ApiRequest } from '../kube/exchange.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { Transport } from '../kube/transport.ts';

type Judge = (request: ApiRequest) => void | Promise<void>;

/**
 * The namespace of an infra cluster in memory, for tests of what is read and written in which order: objects with UIDs and
 * resourceVersions, 404, and 409 for a write over another version. It knows no defaults, no controllers and no rights; what
 * depends on those belongs in test/api.
 */
export class InfraStore {
  readonly objects = new Map<string, KubeObject>();
  /** Every request in its order: `PUT configmaps/k8sk8s`. */
  readonly requests: string[] = [];
  /** Looks at each request before it is answered, and may wait, change the store or throw. */
  before: Judge = () => undefined;
  #version = 0;

  get cluster(): InfraCluster {
    return new InfraCluster(new StoreTransport((request) => this.#answer(request)), 'team');
  }

  /** Puts an object there as another program would, with a new resourceVersion. */
  put(path: string, object: KubeObject): KubeObject {
    const uid = this.objects.get(path)?.metadata.uid ?? `uid-${++this.#version}`;
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, uid, resourceVersion: String(++this.#version) },
    });
    this.objects.set(path, stored);
    return structuredClone(stored);
  }

  get<T extends KubeObject>(path: string): T | undefined {
    return structuredClone(this.objects.get(path)) as T | undefined;
  }

  async #answer(request: ApiRequest): Promise<unknown> {
    const path = request.path.replace(/^.*\/namespaces\/team\//, '');
    this.requests.push(`${request.method} ${path}`);
    await this.before(request);
    const found = this.objects.get(path);
    const body = request.body as KubeObject;
    switch (request.method) {
      case 'GET':
        if (path.includes('/')) return structuredClone(found ?? refuse(404, 'NotFound'));
        return {
          metadata: {},
          items: [...this.objects]
            .filter(([key]) => key.startsWith(`${path}/`))
            .map(([, each]) => structuredClone(each)),
        };
      case 'POST': {
        const key = `${path}/${body.metadata.name}`;
        return this.objects.has(key) ? refuse(409, 'AlreadyExists') : this.put(key, body);
      }
      case 'PUT':
        if (!found) return refuse(404, 'NotFound');
        if (body.metadata.resourceVersion !== found.metadata.resourceVersion) return refuse(409, 'Conflict');
        return this.put(path, body);
      case 'PATCH':
        return this.put(path, { ...found, ...body });
      case 'DELETE':
        return this.objects.delete(path) ? {} : refuse(404, 'NotFound');
    }
  }
}

class StoreTransport extends Transport {
  readonly #answer: (request: ApiRequest) => Promise<unknown>;

  constructor(answer: (request: ApiRequest) => Promise<unknown>) {
    super({ server: 'https://infra.test' });
    this.#answer = answer;
  }

  override async request<T>(request: ApiRequest): Promise<{ status: number; body: T }> {
    return { status: 200, body: (await this.#answer(request)) as T };
  }
}

function refuse(status: number, reason: string): never {
  throw new ApiError({ status, reason, message: reason });
}
