import { UserError, type UserErrorInit } from '../base/errors.ts';
import { option, words } from '../base/words.ts';

/** A kubeconfig that cannot be used; trying again with the same is of no use. */
export function kubeconfigError(init: Omit<UserErrorInit, 'anchor' | 'kind'>): UserError {
  return new UserError({
    ...init,
    fix:
      init.fix ??
      words`name the kubeconfig of the infra cluster with ${option('kubeconfig', 'FILE')} or the KUBECONFIG variable`,
    anchor: 'infra-kubeconfig',
    kind: 'usage',
  });
}
