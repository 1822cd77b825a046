import { openLocalPort } from '../../access/local-port.ts';
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
  close(): Promise<void>;
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
  const dial = async () => cluster.forward((await LogStore.of(cluster, record)).pod, logStorePorts.store);
  // Whoever looks at a page hears at once that it is not there, and loads it again.
  const local = await openLocalPort(dial, ({ message }) => say(message), { port, patience: 0 }).catch(
    (error: Error) => {
      throw new UserError({
        what: `port ${port} of this machine cannot be used`,
        why: error.message,
        fix: 'choose another one, or none',
        anchor: 'bad-values',
        kind: 'usage',
      });
    },
  );
  return { address: `http://127.0.0.1:${local.port}`, password, close: () => local.close() };
}
