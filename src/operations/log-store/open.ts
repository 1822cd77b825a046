import net from 'node:net';
import { UserError } from '../../base/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { LogStore } from '../../live/log-store.ts';
import { logStorePorts } from '../../plane/beside/log-store/log-store.ts';
import type { PlaneRecord } from '../../plane/record.ts';

/** The store's page, at an address of this machine. */
export interface OpenedPage {
  /** `http://127.0.0.1:PORT` */
  address: string;
  password: string;
  close(): void;
}

/**
 * Leads a port of this machine's loopback to the store, connection by connection, also when its pod becomes another one. Who else is
 * on this machine needs the password.
 *
 * @param port 0: any
 * @throws UserError `no-logs`, `log-store-unreachable`, `bad-values` for a port that is taken
 */
export async function openPage(
  cluster: InfraCluster,
  record: PlaneRecord,
  port: number,
  say: (words: string) => void,
): Promise<OpenedPage> {
  const { password } = await LogStore.of(cluster, record);
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    lead(cluster, record, socket).catch((error: Error) => {
      say(error.message);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new UserError({
          what: `port ${port} of this machine cannot be used`,
          why: error.message,
          fix: 'choose another one, or none',
          anchor: 'bad-values',
          kind: 'usage',
        }),
      ),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    address: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    password,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function lead(cluster: InfraCluster, record: PlaneRecord, socket: net.Socket): Promise<void> {
  const { pod } = await LogStore.of(cluster, record);
  const tunnel = await cluster.forward(pod, logStorePorts.store);
  const end = () => {
    socket.destroy();
    tunnel.destroy();
  };
  tunnel.on('error', end).on('close', end);
  socket.on('close', end);
  socket.pipe(tunnel).pipe(socket);
}
