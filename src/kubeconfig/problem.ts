import { UserError } from '../base/errors.ts';

/** A kubeconfig that cannot be used; trying again with the same is of no use. */
export function kubeconfigError(init: { what: string; why?: string; fix?: string; cause?: unknown }): UserError {
  return new UserError({
    ...init,
    fix: init.fix ?? 'name the kubeconfig of the infra cluster with --kubeconfig FILE or the KUBECONFIG variable',
    anchor: 'infra-kubeconfig',
    kind: 'usage',
  });
}
