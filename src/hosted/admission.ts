import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { UserError } from '../base/errors.ts';
import { again, shellWord, words } from '../base/words.ts';
import { ApiError, ConnectionError, fixOfObstacle, isNoDryRun, obstacleOf } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';

// The users of a hosted cluster have rules of their own for what is written there, and k8sk8s' writes are judged by them as well.

/** https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/validating-webhook-configuration-v1/ */
interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string }[];
}

const kinds = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'];

/**
 * What to do about a webhook of the hosted cluster that its API server must ask and cannot, or that refuses; or about a policy.
 *
 * @returns undefined when `error` speaks of neither
 */
export async function admissionFix(hosted: HostedCluster, error: ApiError): Promise<string | undefined> {
  const obstacle = obstacleOf(error);
  if (obstacle?.kind !== 'webhook') return obstacle && fixOfObstacle(obstacle);
  const configurations = await Promise.all(
    kinds.map((kind) =>
      hosted.list<WebhookConfiguration>({ apiVersion: 'admissionregistration.k8s.io/v1', kind }).catch(() => undefined),
    ),
  );
  const found = configurations
    .flatMap((list) => list?.items ?? [])
    .find(({ webhooks }) => webhooks?.some(({ name }) => name === obstacle.name));
  return fixOfObstacle(obstacle, found && `${found.kind.toLowerCase()} ${shellWord(found.metadata.name)}`);
}

/**
 * Asks by dry runs whether the rules of the hosted cluster's users let these objects pass, before anything is changed that only makes
 * sense when they do. What else may be wrong is left to the write itself.
 *
 * @throws UserError `child-asset-refused` (kind `refused`)
 */
export async function refuseUnadmitted(
  hosted: HostedCluster,
  objects: KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  const limit = pLimit(4);
  let answers = true;
  await Promise.all(
    objects.map((object) =>
      limit(async () => {
        signal.throwIfAborted();
        if (!answers) return;
        const error = await answerTo(hosted, object, signal);
        if (error instanceof ConnectionError) answers = false;
        if (!(error instanceof ApiError) || isNoDryRun(error)) return;
        const fix = await admissionFix(hosted, error);
        if (fix !== undefined)
          throw new UserError({
            what: `the hosted cluster would refuse ${nameOf(object)}`,
            why: `${error.status} ${error.reason}: ${error.message}`,
            fix: words`${fix}; then ${again}`,
            anchor: 'child-asset-refused',
            kind: 'refused',
            cause: error,
          });
      }),
    ),
  );
}

/** The error of a dry run. A webhook's pods may be on their way back, so a failure of the server's own is asked for again. */
async function answerTo(hosted: HostedCluster, object: KubeObject, signal: AbortSignal): Promise<unknown> {
  for (let left = 2; ; left--) {
    const error: unknown = await hosted.tryApply(object, signal).catch((reason) => reason);
    if (!(error instanceof ApiError) || error.status < 500 || left === 0) return error;
    await sleep(500, undefined, { signal });
  }
}
