import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Refusal } from '../../gate/refusal.ts';
import { openStream } from './streams.ts';

/** Connections to kubelets: with the window of each full, they fit into the container's memory. */
const mostOpen = 500;
/**
 * Of one tunnel that are being opened at once, less than the proxy allows in all. When one of them has waited for `slowMilliseconds`, the
 * worker is silent, and holds only a few: other workers need the rest.
 */
const mostOpening = 40;
const mostOpeningSlowly = 8;
const slowMilliseconds = 1000;

/** Where a connection is opened. */
export interface Way {
  node: string;
  session: ClientHttp2Session;
  /** What the agent has not answered yet, the oldest first. */
  opening: Set<{ since: number }>;
}

/** Counts the connections of a hub, so that neither a silent worker nor a reader that does not read takes those of others. */
export class Openings {
  #open = 0;

  /** @throws Refusal where the hub or the tunnel has too many already */
  async open({ session, node, opening }: Way): Promise<ClientHttp2Stream> {
    if (this.#open >= mostOpen) throw new Refusal('refused', `${mostOpen} connections to kubelets are open already`);
    const since = performance.now();
    const [oldest] = opening;
    const isSlow = oldest !== undefined && since - oldest.since > slowMilliseconds;
    if (opening.size >= (isSlow ? mostOpeningSlowly : mostOpening))
      throw new Refusal('refused', `node ${node} has not answered ${opening.size} connections yet`);
    const mine = { since };
    opening.add(mine);
    this.#open++;
    try {
      const stream = await openStream(session);
      stream.once('close', () => this.#open--);
      return stream;
    } catch (error) {
      this.#open--;
      throw error;
    } finally {
      opening.delete(mine);
    }
  }
}
