import { type ApiError, explainCallError, isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { asServiceAccount, requestToken } from '../live/service-account.ts';
import { missingRights, type Right } from './rights.ts';

/** What became of the look at an account of the namespace. `untested`: the caller may not ask for a token of it. */
export type AccountState = { state: 'ok' } | { state: 'untested' } | { state: 'lacking'; why: string };

/**
 * Whether pods can run as an account that the administrator of the infra cluster makes, and whether it has its rights. These are
 * tested with a token of ten minutes, which is not stored.
 *
 * @param pod that is to run as the account, of a name that is free
 */
export async function accountState(
  cluster: InfraCluster,
  account: string,
  pod: KubeObject,
  rights: Right[],
): Promise<AccountState> {
  const missing: AccountState = { state: 'lacking', why: `there is no ServiceAccount "${account}"` };
  try {
    await cluster.create(pod, { dryRun: true });
  } catch (error) {
    if (isForbidden(error) && /service ?account/i.test((error as ApiError).message)) return missing;
    throw explainCallError(error, `make pods of ServiceAccount "${account}" in namespace "${cluster.namespace}"`);
  }
  const token = await requestToken(cluster, account);
  if (token === 'absent') return missing;
  if (token === 'forbidden') return { state: 'untested' };
  const asItself = asServiceAccount(cluster, token);
  try {
    const { verbs } = await missingRights(asItself, rights);
    if (verbs.length === 0) return { state: 'ok' };
    return { state: 'lacking', why: `the ServiceAccount "${account}" lacks rights: ${verbs.join('; ')}` };
  } finally {
    await asItself.close();
  }
}
