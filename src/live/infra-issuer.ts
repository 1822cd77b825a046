import { type Finding, UserError } from '../base/errors.ts';
import { discoveryPath } from '../base/infra-issuer.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { asServiceAccount, requestToken } from './service-account.ts';

/** The ClusterRole that Kubernetes binds to all service accounts, unless somebody took the binding away. */
const discoveryRole = 'system:service-account-issuer-discovery';

/**
 * Who signs the tokens of the infra cluster's service accounts, as the account of the API server's pod reads it: the gate beside the
 * API server reads it with the same rights.
 *
 * @returns the issuer's URL
 * @throws UserError `infra-issuer` with the right that is missing
 */
export async function infraIssuerUrl(
  cluster: InfraCluster,
  { serviceAccountName: account = 'default' }: Pick<ClusterSpec, 'serviceAccountName'>,
): Promise<string> {
  const token = await requestToken(cluster, account);
  if (token === 'forbidden')
    throw refused(
      `you may not create serviceaccounts/token in namespace "${cluster.namespace}", by which the issuer is learnt`,
      'ask the administrator of the infra cluster for the right "create" on "serviceaccounts/token"; templates/rights/namespace-admin.yaml grants it',
    );
  if (token === 'absent')
    throw refused(
      `namespace "${cluster.namespace}" has no ServiceAccount "${account}", which the API server's pod runs as`,
      words`make it, or name another one with ${field('serviceAccountName')}`,
    );
  const asItself = asServiceAccount(cluster, token);
  try {
    const { body } = await asItself.transport.request<{ issuer: string }>({ method: 'GET', path: discoveryPath });
    return body.issuer;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw refused(
      `ServiceAccount "${account}" may not read ${discoveryPath} of the infra cluster`,
      `ask the administrator of the infra cluster to bind the ClusterRole ${discoveryRole} to the group system:serviceaccounts, as Kubernetes does by itself`,
    );
  } finally {
    await asItself.close();
  }
}

function refused(why: string, fix: Finding['fix']): UserError {
  return new UserError({
    what: words`${field('trustInfra')} needs to know who signs the tokens of the infra cluster's service accounts`,
    why,
    fix,
    anchor: 'infra-issuer',
    kind: 'refused',
  });
}
