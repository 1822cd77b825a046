import { isDeepStrictEqual } from 'node:util';
import pLimit from 'p-limit';
import { UserError } from '../base/errors.ts';
import { fieldManager, type Kind } from '../kube/cluster.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, sameContent, type Workload } from '../kube/objects.ts';
import { planeKinds } from '../plane/kinds.ts';
import { belongsTo } from '../plane/names.ts';
import { isStartFiles, startFilesOf } from '../plane/start-files.ts';
import type { Reporter } from '../ui/reporter.ts';

/** What the namespace holds under the names that a plane takes, whoever made it. */
export class Existing {
  readonly #objects: Map<string, KubeObject>;

  private constructor(objects: KubeObject[]) {
    this.#objects = new Map(objects.map((object) => [keyOf(object), object]));
  }

  static async read(cluster: InfraCluster): Promise<Existing> {
    const found = await Promise.all([
      ...planeKinds.map(async ({ names, listed, ...kind }) => {
        if (!listed) return Promise.all(names.map((name) => cluster.get(kind, name)));
        return (await cluster.list(kind)).items.filter(({ metadata }) => names.includes(metadata.name));
      }),
      cluster
        .list({ apiVersion: 'v1', kind: 'Secret' }, { labelSelector: startFilesOf })
        .then(({ items }) => items.filter(isStartFiles)),
    ]);
    return new Existing(found.flat().filter((object) => object !== undefined));
  }

  find<T extends KubeObject>(object: Kind & { metadata: { name: string } }): T | undefined {
    return this.#objects.get(keyOf(object)) as T | undefined;
  }

  ofKind<T extends KubeObject>(kind: string): T[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind) as T[];
  }

  /** What is left when a plane has gone. */
  without(planeId: string | undefined): Existing {
    return new Existing(this.foreign(planeId));
  }

  /** Objects under a plane's names that belong to somebody else. */
  foreign(planeId: string | undefined): KubeObject[] {
    return [...this.#objects.values()].filter((object) => planeId === undefined || !belongsTo(object, planeId));
  }
}

function keyOf(object: Kind & { metadata: { name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}

export interface Applied {
  created: string[];
  changed: string[];
  unchanged: string[];
}

export const nothingApplied = (): Applied => ({ created: [], changed: [], unchanged: [] });

/**
 * Server-side apply of all objects at once. Reports what was created or changed in the order given.
 *
 * @returns the objects as the server has them now
 * @throws UserError `foreign-object` before anything is sent when one of the names is taken by somebody else
 */
export async function applyAll(
  cluster: InfraCluster,
  planeId: string,
  objects: KubeObject[],
  existing: Existing,
  applied: Applied,
  reporter: Reporter,
  dryRun = false,
): Promise<KubeObject[]> {
  for (const object of objects) {
    const before = existing.find(object);
    if (before && !belongsTo(before, planeId)) throw foreignObject(before, cluster.namespace);
  }
  const limit = pLimit(16);
  const results = await Promise.all(
    objects.map((object) =>
      limit(async () => {
        try {
          if (!dryRun) await dropRollingUpdate(cluster, object, existing);
          return await cluster.apply(object, { dryRun });
        } catch (error) {
          throw explainCallError(error, `apply ${nameOf(object)} in namespace "${cluster.namespace}"`);
        }
      }),
    ),
  );
  for (const result of results) noteApplied(applied, existing.find(result), result, reporter);
  return results;
}

/** Adds an object to those that were applied, and says it when that made a difference. */
export function noteApplied(
  applied: Applied,
  before: KubeObject | undefined,
  after: KubeObject,
  reporter: Reporter,
): void {
  const verb = !before ? 'created' : isChanged(before, after) ? 'changed' : 'unchanged';
  applied[verb].push(nameOf(after));
  if (verb !== 'unchanged') reporter.line(`${nameOf(after)} ${verb === 'created' ? 'created' : 'configured'}`);
}

/**
 * Whether it was the apply that changed an object, and not a controller that wrote between the look at it and the apply:
 * then the server has noted no new apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management).
 */
function isChanged(before: KubeObject, after: KubeObject): boolean {
  const [noted, notedNow] = [before, after].map(({ metadata }) =>
    metadata.managedFields?.find(({ manager, operation }) => manager === fieldManager && operation === 'Apply'),
  );
  return !sameContent(before, after) && !(noted && isDeepStrictEqual(noted, notedNow));
}

/**
 * A server's default for another way of replacing pods belongs to nobody, so an apply does not take it away, and beside
 * OnDelete it is refused.
 */
async function dropRollingUpdate(cluster: InfraCluster, object: KubeObject, existing: Existing): Promise<void> {
  const before = existing.find<Workload>(object);
  if (object.kind !== 'StatefulSet' || !before?.spec.updateStrategy?.rollingUpdate) return;
  await cluster.merge(object, object.metadata.name, {
    spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } },
  });
}

export function foreignObject(object: KubeObject, namespace: string): UserError {
  const manager = object.metadata.labels?.['app.kubernetes.io/managed-by'];
  return new UserError({
    what: `namespace "${namespace}" already has a ${nameOf(object)} that is not of this plane`,
    why: manager
      ? `it says that it is managed by ${manager}`
      : 'it carries no label of k8sk8s, which will not touch it',
    fix: 'use another namespace, or remove or rename that object',
    anchor: 'foreign-object',
    kind: 'refused',
  });
}
