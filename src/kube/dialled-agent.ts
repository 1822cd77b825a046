import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Pooling } from './agents.ts';
import type { TlsOptions } from './tls.ts';

type Done = (error: Error | null, stream?: Duplex) => void;

/** Makes TLS connections over byte streams that somebody else opens: a port-forward, say. */
export class DialledAgent extends https.Agent {
  readonly #dial: () => Promise<Duplex>;
  readonly #tls: TlsOptions;
  readonly #open = new Set<Duplex>();

  constructor(dial: () => Promise<Duplex>, { keepAlive, maxSockets }: Pooling, options: TlsOptions) {
    super({ keepAlive, maxSockets });
    this.#dial = dial;
    this.#tls = options;
  }

  override createConnection(...[, done]: [options: object, done: Done]): undefined {
    this.#dial().then(
      (stream) => {
        this.#open.add(stream);
        const { secureEndpoint: _, chosenName: __, ...options } = this.#tls;
        const socket = tls.connect({ ...options, socket: stream });
        // Either may end first, and neither ends the other by itself.
        socket.once('close', () => {
          this.#open.delete(stream);
          stream.destroy();
        });
        stream.once('error', (error) => socket.destroy(error));
        done(null, socket);
      },
      (error: Error) => done(error),
    );
    return undefined;
  }

  override destroy(): void {
    super.destroy();
    for (const stream of this.#open) stream.destroy();
  }
}
