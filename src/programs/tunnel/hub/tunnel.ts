import type { ClientHttp2Session } from 'node:http2';

/** One tunnel of a worker to this hub. */
export interface Tunnel {
  /** Whose certificate its agent has shown, and when that certificate ends. */
  node: string;
  until: number;
  session: ClientHttp2Session;
  /** Addresses in the serving certificate that its kubelet has shown, and that its Node has. */
  addresses: Set<string>;
  /** Streams that the agent has not answered yet, the oldest first. */
  pending: Set<{ since: number }>;
}
