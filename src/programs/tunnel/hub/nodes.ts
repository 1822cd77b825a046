import type { Api } from '../../connect-proxy/api.ts';

/**
 * The addresses that a Node has now; none where there is no such Node.
 *
 * @throws Refusal as Api.get does
 */
export async function addressesOf(api: Pick<Api, 'get'>, node: string): Promise<Set<string>> {
  // By a list, which is what the gate's credential may do.
  const selector = encodeURIComponent(`metadata.name=${node}`);
  const { items } = (await api.get(`/api/v1/nodes?fieldSelector=${selector}`)) as {
    items: { status?: { addresses?: { address: string }[] } }[] | null;
  };
  return new Set((items ?? []).flatMap(({ status }) => status?.addresses ?? []).map(({ address }) => address));
}
