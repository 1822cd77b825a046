import { handshake } from '../kube/handshake.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { forwardToApi } from '../live/forward-to-api.ts';
import type { Plane } from '../live/open.ts';
import { trusted } from '../pki/authority.ts';
import { hostAndPort } from '../plane/addresses.ts';
import { openLocalPort } from './local-port.ts';

/** How a hosted cluster is reached from this machine now. */
export interface WayIn {
  /** A kubeconfig of its administrator, which works as long as the way is open. */
  kubeconfig: string;
  /** Also the name of the context. */
  name: string;
  /** The port of this machine that leads there; undefined where HOST leads there itself. */
  port?: number;
  close(): Promise<void>;
}

/** Milliseconds in which HOST has to answer. */
const patience = 3000;

/**
 * The way to a plane from here: HOST where that leads to it, and else a port of this machine, through the infra API's port-forward. The
 * certificate is asked for and verified by HOST in either case.
 *
 * @param onProblem takes what kept a connection from being led on
 */
export async function findWayIn(
  cluster: InfraCluster,
  { spec, addresses, bundle }: Pick<Plane, 'spec' | 'addresses' | 'bundle'>,
  onProblem: (error: Error) => void,
): Promise<WayIn> {
  const certificateAuthority = trusted(bundle.authorities.ca!);
  const common = { certificateAuthority, client: bundle.leaves.admin! };
  const { host, port } = hostAndPort(addresses.publicServer);
  const proxies = cluster.transport.connection.proxies;
  const leads =
    !addresses.insideOnly &&
    (await handshake({ host, port, authority: certificateAuthority, proxies, patience }).then(
      () => true,
      () => false,
    ));
  if (leads) {
    const kubeconfig = buildKubeconfig({
      ...common,
      server: addresses.publicServer,
      clusterName: spec.host,
      userName: `${spec.host}-admin`,
    });
    return { kubeconfig, name: spec.host, close: async () => undefined };
  }
  const local = await openLocalPort(forwardToApi(cluster, addresses.advertised.port), onProblem);
  // Two of them at once have a context each.
  const name = `${spec.host}-${local.port}`;
  const kubeconfig = buildKubeconfig({
    ...common,
    server: `https://127.0.0.1:${local.port}`,
    tlsServerName: spec.host,
    clusterName: name,
    userName: `${name}-admin`,
  });
  return { kubeconfig, name, port: local.port, close: () => local.close() };
}
