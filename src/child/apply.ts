import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import { ApiError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf, sameContent } from '../kube/objects.ts';
import type { Applied } from '../plane/apply.ts';
import type { Reporter } from '../ui/reporter.ts';

/** The API server is ready a moment before it has made its own namespaces. */
const namespaceGrace = 10_000;

/** Server-side apply of the child assets, all at once; reports what was created or changed in the order given. */
export async function applyChildAssets(
  cluster: HostedCluster,
  objects: KubeObject[],
  applied: Applied,
  reporter: Reporter,
): Promise<void> {
  const results = await Promise.all(
    objects.map(async (object) => {
      const before = await cluster.get(object, object.metadata.name, object.metadata.namespace);
      return { before, after: await applyOne(cluster, object) };
    }),
  );
  for (const { before, after } of results) {
    const verb = !before ? 'created' : sameContent(before, after) ? 'unchanged' : 'changed';
    applied[verb].push(nameOf(after));
    if (verb !== 'unchanged') reporter.line(`${nameOf(after)} ${verb === 'created' ? 'created' : 'configured'}`);
  }
}

async function applyOne(cluster: HostedCluster, object: KubeObject): Promise<KubeObject> {
  const deadline = Date.now() + namespaceGrace;
  for (;;) {
    try {
      return await cluster.apply(object);
    } catch (error) {
      const early = error instanceof ApiError && (error.status === 404 || error.status === 403);
      if (early && Date.now() < deadline) {
        await sleep(100);
        continue;
      }
      if (!(error instanceof ApiError)) throw error;
      throw new UserError({
        what: `the hosted cluster refuses ${nameOf(object)}`,
        why: `${error.status} ${error.reason}: ${error.message}`,
        fix: 'if something was installed there that forbids it (a webhook, a policy), allow it and run the command again',
        anchor: 'child-asset-refused',
        cause: error,
      });
    }
  }
}
