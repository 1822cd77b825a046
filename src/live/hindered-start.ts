import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod } from '../kube/objects.ts';
import { containerStatus } from './pod-problems.ts';

/** Milliseconds from its start on in which an API server may wait for a webhook whose pods are on their way back. */
const grace = 40_000;

/**
 * An API server asks webhooks of the hosted cluster about what it writes at its own start. Where it must ask one and cannot, it never becomes
 * ready, nobody reaches the API by which the webhook could be deleted, and its log alone tells.
 *
 * @param pod of the API server
 * @returns undefined of one that is ready, starts, or has another reason not to
 */
export async function hinderedStart(cluster: InfraCluster, pod: Pod): Promise<UserError | undefined> {
  const container = containerStatus(pod, 'kube-apiserver');
  const since = Date.parse(container?.state?.running?.startedAt ?? '');
  if (container?.ready || !(Date.now() - since > grace)) return undefined;
  const log = await cluster.log(pod.metadata.name, { container: 'kube-apiserver', tailLines: 100 }).catch(() => '');
  const [, webhook] = /failing closed ([a-z0-9.-]+): failed calling webhook/.exec(log) ?? [];
  if (webhook === undefined) return undefined;
  const { namespace } = cluster;
  const without = 'disable-admission-plugins=ValidatingAdmissionWebhook,MutatingAdmissionWebhook';
  return new UserError({
    what: `the API server in pod ${pod.metadata.name} does not become ready`,
    why: `it has to ask webhook ${webhook} of the hosted cluster about what it writes at its start, and cannot`,
    fix: words`where the API answers, delete the webhook's configuration (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations shows it); where it does not, ${command('deploy', namespace, field('apiServerArgs', without))} starts the API server without webhooks: delete it then, and ${command('deploy', namespace, option('reset', field('apiServerArgs')))}`,
    anchor: 'start-hindered',
  });
}
