import type { ClusterSpec } from '../config/schema.ts';
import type { Kind } from '../kube/cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { groupOf, resourceOf, versionsOfExtension } from '../kube/resources.ts';
import { rightsOfExposures } from '../plane/exposures/table.ts';
import { planeKinds, unusedKinds } from '../plane/kinds.ts';
import { lifetimeKind } from '../plane/names.ts';

export interface Right {
  group: string;
  resource: string;
  verbs: string[];
}

const all = ['get', 'list', 'watch', 'create', 'patch', 'delete'];

/** Every verb on every resource that deploy and destroy use in the namespace; templates/rights/namespace-admin.yaml grants them. */
export const requiredRights: Right[] = together([
  ...planeKinds.map((kind) => ({ ...resourceIn(kind), verbs: all })),
  ...rightsOfExposures(),
  { group: '', resource: 'pods', verbs: ['get', 'list', 'watch', 'delete'] },
  { group: '', resource: 'pods/log', verbs: ['get'] },
  { group: '', resource: 'pods/exec', verbs: ['get', 'create'] },
  { group: '', resource: 'events', verbs: ['list', 'watch'] },
  // Every command that changes a plane asks whether its life ends by itself.
  { ...resourceIn(lifetimeKind), verbs: ['get'] },
  { group: 'coordination.k8s.io', resource: 'leases', verbs: ['get', 'list', 'create', 'update', 'delete'] },
]);

/** What a plane that ends by itself needs besides. */
export const lifetimeRights: Right[] = [
  { ...resourceIn(lifetimeKind), verbs: ['get', 'create', 'patch', 'delete'] },
  { group: 'batch', resource: 'cronjobs', verbs: ['list'] },
];

/** What the account of `sleep --schedule` needs of the plane's kinds beside reading them and applying what is there. */
const moreOfSchedule: Record<string, string[]> = {
  ConfigMap: ['update'],
  // What an ephemeral etcd holds is kept in Secrets while the plane sleeps.
  Secret: ['create', 'delete'],
  Deployment: ['watch'],
  // It is away for a moment while an ephemeral etcd gets its data back (etcd/seed.ts).
  StatefulSet: ['watch', 'create', 'delete'],
};

/** What the account of `sleep --schedule` needs; templates/rights/schedule.yaml grants it. */
export const scheduleRights: Right[] = together([
  ...planeKinds.map((each) => ({
    ...resourceIn(each),
    verbs: ['get', 'list', 'patch', ...(moreOfSchedule[each.kind] ?? [])],
  })),
  { group: '', resource: 'pods', verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { group: '', resource: 'events', verbs: ['list', 'watch'] },
  ...['pods/exec', 'pods/portforward'].map((resource) => ({ group: '', resource, verbs: ['get', 'create'] })),
  { ...resourceIn(lifetimeKind), verbs: ['get'] },
  { group: 'coordination.k8s.io', resource: 'leases', verbs: ['get', 'list', 'create', 'update', 'patch'] },
]);

/** By such a token deploy learns who signs the infra cluster's tokens (--trust-infra). */
export const infraIssuerRight: Right = { group: '', resource: 'serviceaccounts/token', verbs: ['create'] };

/**
 * A plane without an ingress, say, still has to read ingresses, to find an earlier one; not so what is no kind of every cluster, of
 * which who may not read it has none.
 *
 * @param left kinds of which there is such an object, which deploy deletes
 */
export function rightsFor(spec: ClusterSpec, left: Kind[] = []): Right[] {
  const verbs = new Map(
    unusedKinds(spec).map((each) => [
      nameOf(resourceIn(each)),
      [
        ...(versionsOfExtension(each) ? [] : ['get', 'list']),
        ...(left.some(({ kind }) => kind === each.kind) ? ['delete'] : []),
      ],
    ]),
  );
  const others = rightsOfExposures(spec.expose).map(nameOf);
  return [
    ...requiredRights
      .filter((right) => !others.includes(nameOf(right)))
      .map((right) => ({ ...right, verbs: verbs.get(nameOf(right)) ?? right.verbs })),
    ...(spec.trustInfra.length > 0 ? [infraIssuerRight] : []),
  ];
}

function resourceIn(kind: Kind): Omit<Right, 'verbs'> {
  return { group: groupOf(kind), resource: resourceOf(kind).plural };
}

/** `deployments.apps` */
function nameOf({ group, resource }: Omit<Right, 'verbs'>): string {
  return group === '' ? resource : `${resource}.${group}`;
}

/** A kind of a component may be one that k8sk8s uses anyway: each verb is asked for once. */
function together(rights: Right[]): Right[] {
  const verbs = new Map<string, Right>();
  for (const { group, resource, verbs: more } of rights) {
    const key = nameOf({ group, resource });
    verbs.set(key, { group, resource, verbs: [...new Set([...(verbs.get(key)?.verbs ?? []), ...more])] });
  }
  return [...verbs.values()];
}

interface Rule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
}

/**
 * The rights of the list that the caller lacks. One SelfSubjectRulesReview answers most of it. That review may be incomplete, so
 * each right that it does not grant is asked for with a SelfSubjectAccessReview.
 *
 * @returns `verbs`: `create deployments.apps` and the like; `none`: whether none of them is granted
 */
export async function missingRights(
  cluster: Pick<InfraCluster, 'namespace' | 'review'>,
  rights: Right[],
): Promise<{ verbs: string[]; none: boolean }> {
  const review = await cluster.review({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace: cluster.namespace },
  });
  const rules = (review.status as { resourceRules?: Rule[] }).resourceRules ?? [];
  const open = rights.flatMap((right) =>
    right.verbs.filter((verb) => !rules.some((rule) => grants(rule, right, verb))).map((verb) => ({ right, verb })),
  );
  const denied = await Promise.all(
    open.map(async ({ right, verb }) => {
      const [resource, subresource] = right.resource.split('/');
      const resourceAttributes = {
        namespace: cluster.namespace,
        verb,
        group: right.group,
        resource,
        ...(subresource && { subresource }),
      };
      const answer = await cluster.review({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes },
      });
      return (answer.status as { allowed?: boolean }).allowed ? [] : [{ right, verb }];
    }),
  );
  const count = rights.reduce((sum, { verbs }) => sum + verbs.length, 0);
  const byResource = new Map<string, string[]>();
  for (const { right, verb } of denied.flat()) {
    const name = nameOf(right);
    byResource.set(name, [...(byResource.get(name) ?? []), verb]);
  }
  return {
    verbs: [...byResource].map(([resource, verbs]) => `${verbs.join(', ')} ${resource}`),
    none: denied.flat().length === count,
  };
}

function grants(rule: Rule, right: Right, verb: string): boolean {
  const has = (list: string[] | undefined, value: string) => list?.includes('*') || list?.includes(value) || false;
  return (
    has(rule.verbs, verb) &&
    has(rule.apiGroups, right.group) &&
    has(rule.resources, right.resource) &&
    !rule.resourceNames?.length
  );
}
