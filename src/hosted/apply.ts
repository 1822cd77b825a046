import pLimit from 'p-limit';
import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { ApiError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf, type Service } from '../kube/objects.ts';
import { type Applied, noteApplied } from '../live/apply.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { admissionFix } from './admission.ts';
import { freeAddress, isAddressTaken } from './service-address.ts';

/** Milliseconds: the API server is ready a moment before it has created its own namespaces. */
const namespaceGrace = 10_000;

/**
 * Applies the objects of the hosted cluster, several at a time; reports what was created or changed, in the given order.
 *
 * @throws UserError `child-asset-refused`; the reason of `signal` when it fires, and nothing is sent after that
 */
export async function applyAddons(
  cluster: HostedCluster,
  objects: KubeObject[],
  applied: Applied,
  { reporter, signal }: Pick<Work, 'reporter' | 'signal'>,
): Promise<void> {
  const limit = pLimit(16);
  const results = await Promise.all(
    objects.map((object) =>
      limit(async () => {
        signal.throwIfAborted();
        const before = await cluster.get(object, object.metadata.name, object.metadata.namespace);
        return { before, after: await applyOne(cluster, object, signal) };
      }),
    ),
  );
  for (const { before, after } of results) noteApplied(applied, before, after, reporter);
}

async function applyOne(cluster: HostedCluster, object: KubeObject, signal: AbortSignal): Promise<KubeObject> {
  let last: ApiError;
  return waitFor({
    until: async () => {
      try {
        return await cluster.apply(object);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        last = error;
        const isEarly = error.status === 404 || error.status === 403;
        const isTaken = isAddressTaken(error);
        const holder = isTaken ? await freeAddress(cluster, object as Service) : undefined;
        if (isEarly || (isTaken && holder === undefined)) return undefined;
        throw await refused(cluster, object, error, holder);
      }
    },
    timeout: namespaceGrace,
    every: 100,
    signal,
    late: () => refused(cluster, object, last),
  });
}

async function refused(
  cluster: HostedCluster,
  object: KubeObject,
  error: ApiError,
  holder?: string,
): Promise<UserError> {
  const rule = await admissionFix(cluster, error);
  return new UserError({
    what: `the hosted cluster refuses ${nameOf(object)}`,
    why: holder ? holder : `${error.status} ${error.reason}: ${error.message}`,
    fix: holder
      ? words`give that object another address, and ${again}`
      : words`${rule ?? 'if a quota or an authorizer of the hosted cluster is in the way, allow it'}; then ${again}`,
    anchor: 'child-asset-refused',
    cause: error,
  });
}
