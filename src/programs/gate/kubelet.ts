import { connect } from 'node:tls';
import { Refusal } from '../connect-proxy/refusal.ts';

/** Whoever showed a kubelet's certificate is not asked again for so long. */
const passMilliseconds = 60_000;
/** Passes kept; the oldest goes first. */
const passesKept = 1000;

/**
 * Tells the kubelets of the hosted cluster from everything else that listens in the infra cluster's networks: a Node may
 * claim any address, but only a kubelet has the key of a serving certificate that the plane's CA signed for its address.
 */
export class Kubelets {
  readonly #trusted: () => string;
  readonly #milliseconds: number;
  readonly #now: () => number;
  readonly #passes = new Map<string, { at: number; shown: Promise<void> }>();

  /**
   * @param trusted reads the CAs of kubelets' serving certificates, as PEM
   * @param milliseconds for a whole handshake
   */
  constructor(trusted: () => string, milliseconds: number, now: () => number = performance.now.bind(performance)) {
    this.#trusted = trusted;
    this.#milliseconds = milliseconds;
    this.#now = now;
  }

  /** @throws Refusal unless a kubelet of this cluster answers at `address` and `port` */
  async check(address: string, port: number): Promise<void> {
    const key = `${address}:${port}`;
    const known = this.#passes.get(key);
    if (known && this.#now() - known.at < passMilliseconds) return known.shown;
    this.#passes.delete(key);
    const shown = showsCertificate(address, port, this.#trusted(), this.#milliseconds);
    this.#passes.set(key, { at: this.#now(), shown });
    if (this.#passes.size > passesKept) this.#passes.delete(this.#passes.keys().next().value!);
    // Whoever did not pass may have its certificate the next time.
    shown.catch(() => this.#passes.get(key)?.shown === shown && this.#passes.delete(key));
    return shown;
  }
}

/** Names are not sent, nor is a certificate of this side: whoever listens there learns nothing. */
function showsCertificate(host: string, port: number, ca: string, milliseconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca, minVersion: 'TLSv1.2' });
    const refuse = ({ message }: Error) => {
      clearTimeout(limit);
      socket.destroy();
      reject(new Refusal('probed', `no kubelet of this cluster there: ${message}`));
    };
    const limit = setTimeout(() => refuse(new Error('no answer')), milliseconds);
    socket.on('error', refuse);
    socket.once('close', () => refuse(new Error('closed')));
    socket.once('secureConnect', () => {
      // `authorized` says that the chain ends at `ca` and that the certificate names the address.
      if (!socket.authorized) return refuse(socket.authorizationError);
      clearTimeout(limit);
      resolve();
      socket.destroy();
    });
  });
}
