import type { Connection, Proxies } from './connection.ts';
import { HostedCluster } from './hosted-cluster.ts';
import { InfraCluster, type InfraOptions } from './infra-cluster.ts';
import { Transport } from './transport.ts';

/** The infra cluster of a connection, seen from one of its namespaces. Nothing is sent yet. The caller closes it. */
export function connectInfra(connection: Connection, namespace: string, options?: InfraOptions): InfraCluster {
  return new InfraCluster(new Transport(connection), namespace, options);
}

/** The way into a hosted cluster. */
export interface HostedAccess {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM, as the others. */
  certificateAuthority: string;
  client: { certificate: string; key: string };
  /** Those of the infra cluster, as a rule: both stand behind the same network. */
  proxies?: Proxies;
  /** As Connection has them. */
  dial?: Connection['dial'];
  longestAnswer?: number;
}

/** The hosted cluster behind `server`, trusted by its own CA only, with a client certificate. */
export function connectHosted({ server, certificateAuthority, client, ...others }: HostedAccess): HostedCluster {
  const connection: Connection = {
    server,
    tls: { authorities: [certificateAuthority] },
    credentials: { client: { certificate: { text: client.certificate }, key: { text: client.key } } },
    ...others,
  };
  return new HostedCluster(new Transport(connection, 'hosted'));
}
