import { createServer } from 'node:net';

/**
 * A port of loopback at which nothing listens at this moment. It is of a range from which Linux gives none by itself, neither to a
 * connection nor to who listens at port 0: what is started later finds it free.
 */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port, address)) return port;
  }
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
