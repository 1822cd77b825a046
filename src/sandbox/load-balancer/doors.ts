import net from 'node:net';
import { pipeline } from 'node:stream';

/**
 * Programs that take connections for Services whose load balancer shows a name: kube-proxy knows no address of theirs. Each leads to the
 * Service's cluster IP, as a load balancer outside of the cluster leads to its nodes.
 */
export class Doors {
  readonly #open = new Map<string, { server: net.Server; port: number }>();

  /** @returns the port of this machine that leads there */
  async to(clusterIp: string, port: number): Promise<number> {
    const key = `${clusterIp}:${port}`;
    const there = this.#open.get(key);
    if (there) return there.port;
    const server = net.createServer((visitor) => {
      const inside = net.connect(port, clusterIp);
      pipeline(visitor, inside, () => visitor.destroy());
      pipeline(inside, visitor, () => inside.destroy());
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '0.0.0.0', resolve));
    const own = (server.address() as net.AddressInfo).port;
    this.#open.set(key, { server, port: own });
    return own;
  }

  /** Closes all but these; connections that are open go on. @param wanted `IP:PORT` */
  keep(wanted: ReadonlySet<string>): void {
    for (const [key, { server }] of this.#open) {
      if (wanted.has(key)) continue;
      server.close();
      this.#open.delete(key);
    }
  }
}
