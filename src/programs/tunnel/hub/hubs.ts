import type { Api } from '../../connect-proxy/api.ts';

/** The EndpointSlice of default/kubernetes, where each gate writes its pod's name (docs/adr/0040-endpoints-by-the-gate.md). */
const slice = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';
const annotation = 'k8sk8s.io/api-servers';
/** There are five API servers at most; while they are replaced, one more. */
const mostHubs = 8;

/** Names of the pods that have an API server, each with a hub. @throws Refusal as Api.find does */
export async function readHubs(api: Pick<Api, 'find'>): Promise<string[]> {
  const found = (await api.find(slice)) as { metadata: { annotations?: Record<string, string> } } | undefined;
  return hubsIn(found?.metadata.annotations?.[annotation]);
}

/** Whoever administers the hosted cluster can write anything there; agents would look for hubs that do not exist. Pure. */
export function hubsIn(written = '{}'): string[] {
  try {
    return Object.keys(JSON.parse(written) as object)
      .filter((name) => /^[a-z0-9][-a-z0-9.]{0,252}$/.test(name))
      .slice(0, mostHubs);
  } catch {
    return [];
  }
}
