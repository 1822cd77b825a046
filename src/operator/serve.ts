import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

/** What the kubelet and Prometheus ask. */
interface Web {
  port: number;
  /** From here on /readyz says so. */
  ready(): void;
  close(): Promise<void>;
}

/**
 * Answers /livez, /readyz and /metrics over plain HTTP, with nothing in it that is anybody's secret. An operator that waits for another
 * to let go of the Lease is ready: a rollout replaces the old pod once the new one is.
 *
 * @param port 0: any that is free
 */
export async function serve(port: number, { registry }: Metrics): Promise<Web> {
  let isReady = false;
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain') =>
      response.writeHead(status, { 'content-type': type }).end(text);
    if (request.url === '/livez') answer(200, 'ok\n');
    else if (request.url === '/readyz') answer(isReady ? 200 : 503, isReady ? 'ok\n' : 'the lease was not read yet\n');
    else if (request.url === '/metrics')
      registry.metrics().then(
        (text) => answer(200, text, registry.contentType),
        (error: unknown) => answer(500, String(error)),
      );
    else answer(404, 'there are /livez, /readyz and /metrics\n');
  });
  server.listen(port);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    ready() {
      isReady = true;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
