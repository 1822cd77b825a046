import { ApiError } from '../../src/kube/errors.ts';
import type { ApiRequest } from '../../src/kube/exchange.ts';
import { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { Transport } from '../../src/kube/transport.ts';
import { Store } from './store.ts';

/** What asks a store in the place of an API server. */
class Stored extends Transport {
  readonly store = new Store();

  constructor() {
    super({ server: 'https://hosted.test' }, 'hosted');
  }

  override async request<T>({ method, path, query = {}, body, contentType = '' }: ApiRequest) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const texts = given.map(([name, value]) => [name, String(value)] as [string, string]);
    const ask = { method, path: decodeURIComponent(path), query: new URLSearchParams(texts), contentType, body };
    const answer = this.store.answer(ask);
    if (answer.status < 400) return answer as { status: number; body: T };
    throw new ApiError({ status: answer.status, reason: 'NotFound', message: path, of: 'hosted' });
  }
}

/** A hosted cluster whose API is a store, for what asks it and is no whole operation. A list of all namespaces has no objects of namespaces. */
export function storedCluster(): { store: Store; hosted: HostedCluster } {
  const transport = new Stored();
  return { store: transport.store, hosted: new HostedCluster(transport) };
}
