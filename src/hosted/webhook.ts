import { type ApiError, webhookOf } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';

/** https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/validating-webhook-configuration-v1/ */
interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string }[];
}

const kinds = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'];

/**
 * What to do about a webhook of the hosted cluster that its API server must ask and cannot, or that refuses.
 *
 * @returns undefined when `error` speaks of no webhook
 */
export async function webhookFix(hosted: HostedCluster, error: ApiError): Promise<string | undefined> {
  const webhook = webhookOf(error);
  if (webhook === undefined) return undefined;
  const configurations = await Promise.all(
    kinds.map((kind) =>
      hosted.list<WebhookConfiguration>({ apiVersion: 'admissionregistration.k8s.io/v1', kind }).catch(() => undefined),
    ),
  );
  const found = configurations
    .flatMap((list) => list?.items ?? [])
    .find(({ webhooks }) => webhooks?.some(({ name }) => name === webhook));
  return `mend webhook ${webhook} of the hosted cluster${found ? `, of ${nameOf(found)}` : ''}; or delete its configuration, about which no webhook is asked: kubectl delete ${found ? `${found.kind.toLowerCase()} ${found.metadata.name}` : 'validatingwebhookconfiguration or mutatingwebhookconfiguration NAME'}`;
}
