import type { Api } from '../connect-proxy/api.ts';
import { type Connection, dial, overWebSocket } from '../connect-proxy/connection.ts';
import { Refusal } from '../connect-proxy/refusal.ts';
import type { Destinations } from './destinations.ts';
import type { Kubelets } from './kubelet.ts';

/** What the way into the hosted cluster needs. */
export interface Inside {
  destinations: Pick<Destinations, 'find' | 'forget'>;
  kubelets: Pick<Kubelets, 'check'>;
  api: Pick<Api, 'portForward'>;
  say: (words: string) => void;
}

/**
 * Opens what the API server reaches in the hosted cluster: kubelets that have shown that they are, and by their port-forward everything
 * else.
 *
 * @throws Refusal
 */
export async function openInside(
  { destinations, kubelets, api, say }: Inside,
  address: string,
  port: number,
  milliseconds: number,
): Promise<Connection> {
  const destination = await destinations.find(address, port);
  if (destination.kind === 'kubelet') {
    await kubelets.check(address, port);
    return dial(address, port, milliseconds);
  }
  const socket = await api.portForward(destination, port).catch(async (error: unknown) => {
    if (!(error instanceof Refusal) || error.kind !== 'gone') throw error;
    // The pod that had the address is gone; another one may have it by now.
    destinations.forget(address);
    const next = await destinations.find(address, port);
    if (next.kind !== 'pod') throw error;
    return api.portForward(next, port);
  });
  return overWebSocket(socket, (words) => say(`${address}:${port}: ${words}`));
}
