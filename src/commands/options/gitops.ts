import type { Command } from 'commander';
import { UserError } from '../../base/errors.ts';
import { buildKubeconfig } from '../../kubeconfig/build.ts';
import { argocdSecret, fluxSecret } from '../../kubeconfig/gitops.ts';

export interface GitopsOptions {
  argocd?: string | true;
  flux?: string | true;
}

export function addGitopsOptions(command: Command): Command {
  return command
    .option('--argocd [NAMESPACE]', 'as the Secret by which Argo CD knows a cluster; its namespace, default argocd')
    .option('--flux [NAMESPACE]', "as the Secret for spec.kubeConfig of Flux's objects; default flux-system");
}

type Request = Parameters<typeof fluxSecret>[0];

/** A credential as a kubeconfig, or as the Secret that was asked for. @throws UserError `bad-values` */
export function credentialFile(
  { argocd, flux }: GitopsOptions,
  request: Omit<Request, 'namespace'> & { namespace?: string },
): string {
  if (argocd !== undefined && flux !== undefined)
    throw new UserError({
      what: '--argocd and --flux were both given',
      fix: 'give one of them; run the command again for the other',
      anchor: 'bad-values',
      kind: 'usage',
    });
  if (argocd !== undefined) return argocdSecret({ ...request, namespace: argocd === true ? 'argocd' : argocd });
  if (flux !== undefined) return fluxSecret({ ...request, namespace: flux === true ? 'flux-system' : flux });
  return buildKubeconfig(request);
}
