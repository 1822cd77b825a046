import type { ClientHttp2Stream } from 'node:http2';
import { Refusal } from '../../connect-proxy/refusal.ts';
import { openStream } from './streams.ts';
import type { Tunnel } from './tunnel.ts';

/** Connections to kubelets: with the window of each full, they fit into the container's memory. */
const mostOpen = 500;
/**
 * Of one tunnel that are being opened at once, less than the proxy allows in all. When one of them has waited for `slowMilliseconds`, the
 * worker is silent, and holds only a few: other workers need the rest.
 */
const mostPending = 40;
const mostPendingSlowly = 8;
const slowMilliseconds = 1000;

/** Counts the connections of a hub, so that neither a silent worker nor a reader that does not read takes those of others. */
export class StreamLimits {
  #open = 0;

  /** @throws Refusal where the hub or the tunnel has too many already */
  async open({ session, node, pending }: Tunnel): Promise<ClientHttp2Stream> {
    if (this.#open >= mostOpen) throw new Refusal('refused', `${mostOpen} connections to kubelets are open already`);
    const since = performance.now();
    const [oldest] = pending;
    const isSlow = oldest !== undefined && since - oldest.since > slowMilliseconds;
    if (pending.size >= (isSlow ? mostPendingSlowly : mostPending))
      throw new Refusal('refused', `node ${node} has not answered ${pending.size} connections yet`);
    const mine = { since };
    pending.add(mine);
    this.#open++;
    try {
      const stream = await openStream(session);
      stream.once('close', () => this.#open--);
      return stream;
    } catch (error) {
      this.#open--;
      throw error;
    } finally {
      pending.delete(mine);
    }
  }
}
