import { connectInfra } from '../kube/connect.ts';
import { explainCallError, isForbidden, isNotFound } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { pathOf, resourceOf } from '../kube/resources.ts';

/**
 * A token of a ServiceAccount of the namespace for the infra cluster's own API, of ten minutes; it is not stored.
 *
 * @returns `forbidden` when the caller may not ask for it, `absent` when there is no such account
 */
export async function requestToken(
  cluster: InfraCluster,
  account: string,
): Promise<{ text: string } | 'forbidden' | 'absent'> {
  const path = `${pathOf(resourceOf({ apiVersion: 'v1', kind: 'ServiceAccount' }), cluster.namespace, account)}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } };
  try {
    const answer = await cluster.transport.request<{ status: { token: string } }>({ method: 'POST', path, body });
    return { text: answer.body.status.token };
  } catch (error) {
    if (isForbidden(error)) return 'forbidden';
    if (isNotFound(error)) return 'absent';
    throw explainCallError(error, `ask for a token of ServiceAccount "${account}"`);
  }
}

/** The same namespace as that account sees it. The caller closes it. */
export function asServiceAccount(cluster: InfraCluster, token: { text: string }): InfraCluster {
  const { server, tls, proxies } = cluster.transport.connection;
  return connectInfra({ server, tls, proxies, credentials: { token } }, cluster.namespace);
}
