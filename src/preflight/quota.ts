import { formatQuantity, parseQuantity } from '../base/quantity.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject, PersistentVolumeClaim, Service } from '../kube/objects.ts';
import { groupOf, resourceOf } from '../kube/resources.ts';
import type { Existing } from '../live/apply.ts';
import { isOfEtcd } from '../live/choose-storage.ts';
import { wantedBeside } from '../plane/beside/lookup.ts';
import { replicasOf, workloadNames } from '../plane/components/lookup.ts';
import { buildExposure } from '../plane/exposures/table.ts';
import { buildFurther } from '../plane/further.ts';
import { claimName, recordName } from '../plane/names.ts';
import { buildDisruptionBudgets, buildPolicies } from '../plane/policies.ts';
import { secretNames, secretsByContent } from '../plane/secrets.ts';
import { buildServices } from '../plane/services.ts';
import { isStartFiles } from '../plane/start-files.ts';
import type { Storage, Volume } from '../plane/storage.ts';
import { askedOnce, type DeployCheck, type DeployContext, ok } from './check.ts';
import {
  type PodResources,
  runningComponents,
  type Trial,
  trialId,
  trialPods,
  trialStorage,
  trialsBeside,
} from './trials.ts';

export interface Quota extends KubeObject {
  spec?: {
    scopes?: string[];
    scopeSelector?: { matchExpressions?: { scopeName: string; operator: string }[] };
  };
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

/** Amounts, by their names in a ResourceQuota: `requests.cpu`, `secrets`, `count/deployments.apps`. */
export type Amounts = Record<string, number>;

export interface Shortage {
  quota: string;
  resource: string;
  free: number;
  wanted: number;
}

/** Dry runs try each object alone; all of them together may still exceed the quota. */
export const quotaRoom: DeployCheck = {
  name: 'quota',
  claim: () => 'The quota has room for the control plane',
  anchor: 'quota',
  severity: 'fatal',
  dependsOn: ['namespace'],
  async probe(context) {
    const short = await quotaShortages(context);
    if (short === undefined) return { state: 'unknown', why: 'you may not read the quotas of the namespace' };
    if (short.length === 0) return ok();
    const noPorts = short.some(({ resource }) => resource === 'services.nodeports');
    const compute = short.every(({ resource }) => /(cpu|memory)$/.test(resource));
    return {
      state: 'failed',
      what: `the quota of namespace "${context.cluster.namespace}" is too small`,
      why: short.map(sentence).join('; '),
      fix: words`ask for a larger quota or free some of it (kubectl -n ${context.cluster.namespace} describe quota)${compute ? words`, or request less with ${field('resources')}` : ''}${noPorts ? words`, or do without node ports: ${withoutNodePorts}` : ''}`,
    };
  },
};

/** What a namespace that may have no node ports needs. */
export const withoutNodePorts = words`${field('allocateNodePorts')} with ${field('inCluster', 'loadbalancer')} or clusterip, or with ${field('inCluster', 'loopback')} and ${field('workerEndpoint')}`;

function sentence({ quota, resource, free, wanted }: Shortage): string {
  return `quota "${quota}" leaves ${formatQuantity(resource, free)} of ${resource}, the plane needs ${formatQuantity(resource, wanted)}`;
}

/** What the quotas lack for all objects that do not exist yet. @returns undefined when the caller may not list quotas */
export const quotaShortages = askedOnce(async (context): Promise<Shortage[] | undefined> => {
  const quotas = await context.cluster.list<Quota>({ apiVersion: 'v1', kind: 'ResourceQuota' }).then(
    ({ items }) => items,
    (error: unknown) => (isForbidden(error) ? undefined : Promise.reject(error)),
  );
  if (quotas === undefined || quotas.length === 0) return quotas && [];
  return shortages(quotas, await demand(context));
});

/** The resources of which the plane needs more than a quota has left. Pure. */
export function shortages(quotas: Quota[], wanted: Amounts): Shortage[] {
  return quotas.filter(countsThePlane).flatMap(({ metadata, status }) =>
    Object.entries(wanted).flatMap(([resource, amount]) => {
      const hard = parseQuantity(status?.hard?.[resource] ?? '');
      const used = parseQuantity(status?.used?.[resource] ?? '0');
      if (amount === 0 || hard === undefined || used === undefined) return [];
      const free = Math.max(0, hard - used);
      // Sums of 0.025 and the like are not exact.
      return amount - free > 1e-6 ? [{ quota: metadata.name, resource, free, wanted: amount }] : [];
    }),
  );
}

/**
 * Whether the plane's pods are certainly in a quota's scopes (https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes).
 * For other scopes, the dry run of the pods shows whether they matter.
 */
function countsThePlane({ spec }: Quota): boolean {
  const scopes = [
    ...(spec?.scopes ?? []),
    ...(spec?.scopeSelector?.matchExpressions ?? []).map(({ scopeName }) => scopeName),
  ];
  return scopes.every((scope) => scope === 'NotTerminating');
}

async function demand(context: DeployContext): Promise<Amounts> {
  const [existing, trials, running, beside] = await Promise.all([
    context.existing(),
    trialPods(context),
    runningComponents(context),
    trialsBeside(context),
  ]);
  const { spec } = context;
  const storage = await trialStorage(context).then(
    (choice) => choice.storage,
    () => undefined,
  );
  // The pods as the cluster would create them, with a LimitRange's defaults and a webhook's sidecars.
  const missing = (name: string, wanted: number, { admitted, object }: Trial<KubeObject>): Amounts[] =>
    Array(Math.max(0, wanted - (running.get(name) ?? 0))).fill(podDemand((admitted ?? object) as PodResources));
  const pods = [
    ...trials.flatMap((trial) => missing(trial.component, replicasOf(spec, trial.component), trial)),
    ...beside.flatMap((trial) => missing(trial.name, trial.replicas, trial)),
  ];
  return sum([...pods, { pods: pods.length, 'count/pods': pods.length }, objectDemand(existing, spec, storage)]);
}

/** What the plane's objects take of a quota, as far as they are not there yet; its pods aside. Pure. */
export function objectDemand(
  existing: Pick<Existing, 'find' | 'ofKind'>,
  spec: ClusterSpec,
  storage: Storage | undefined,
): Amounts {
  const missing = <T extends Pick<KubeObject, 'kind' | 'metadata'>>(apiVersion: string, objects: T[]): T[] =>
    objects.filter(({ kind, metadata: { name } }) => !existing.find({ apiVersion, kind, metadata: { name } }));
  const count = (apiVersion: string, kind: string, names: string[]) =>
    missing(
      apiVersion,
      names.map((name) => ({ kind, metadata: { name } })),
    ).length;
  const startFiles = Math.max(0, secretsByContent.length - existing.ofKind('Secret').filter(isStartFiles).length);
  const beside = wantedBeside(spec);
  const theirSecrets = beside
    .filter(({ kinds }) => kinds.some(({ kind }) => kind === 'Secret'))
    .map(({ name }) => name);
  const secrets = count('v1', 'Secret', [...secretNames, ...theirSecrets]) + startFiles;
  const services = missing('v1', buildServices(trialId, spec));
  const configMaps = count('v1', 'ConfigMap', [recordName]);
  const deployments = count('apps/v1', 'Deployment', workloadNames('Deployment'));
  const members = Array.from({ length: spec.etcdMembers }, (_, member) => claimName(member));
  const claims = storage?.kind === 'volume' ? count('v1', 'PersistentVolumeClaim', members) : 0;
  const besideObjects = beside
    .flatMap(({ objects }) => objects({ planeId: trialId, spec, storage: storage ?? { kind: 'ephemeral' } }))
    .filter((object) => !existing.find(object));
  const further = [...buildFurther(trialId, spec), ...buildExposure(trialId, spec)].filter(
    (object) => !existing.find(object),
  );
  const amounts = {
    secrets,
    'count/secrets': secrets,
    services: services.length,
    'count/services': services.length,
    'services.nodeports': services.filter(hasNodePorts).flatMap(({ spec: { ports = [] } }) => ports).length,
    'services.loadbalancers': services.filter(({ spec: { type } }) => type === 'LoadBalancer').length,
    configmaps: configMaps,
    'count/configmaps': configMaps,
    persistentvolumeclaims: claims,
    'count/persistentvolumeclaims': claims,
    'requests.storage':
      storage?.kind === 'volume' ? claims * parseQuantity(storage.size)! + growth(existing, storage) : 0,
    'count/deployments.apps': deployments,
    'count/replicasets.apps': deployments,
    'count/statefulsets.apps': count('apps/v1', 'StatefulSet', workloadNames('StatefulSet')),
    'count/networkpolicies.networking.k8s.io': missing('networking.k8s.io/v1', buildPolicies(trialId, spec)).length,
    'count/poddisruptionbudgets.policy': missing('policy/v1', buildDisruptionBudgets(trialId, spec)).length,
  };
  const ofBeside = besideObjects.map((object) => ({ [countOf(object)]: 1, ...claimOf(object) }));
  return sum([amounts, ...ofBeside, ...further.map((object) => ({ [countOf(object)]: 1 }))]);
}

/** What a claim takes beside the count of its kind. */
function claimOf(object: KubeObject): Amounts {
  if (object.kind !== 'PersistentVolumeClaim') return {};
  const { spec } = object as PersistentVolumeClaim;
  return { persistentvolumeclaims: 1, 'requests.storage': parseQuantity(spec.resources.requests.storage)! };
}

/** What etcd's claims that are there ask for in addition: a quota may let the first of them grow, and not the second. */
function growth(existing: Pick<Existing, 'ofKind'>, { size }: Volume): number {
  const wanted = parseQuantity(size)!;
  return existing
    .ofKind<PersistentVolumeClaim>('PersistentVolumeClaim')
    .filter(isOfEtcd)
    .map(({ spec }) => Math.max(0, wanted - parseQuantity(spec.resources.requests.storage)!))
    .reduce((total, each) => total + each, 0);
}

/** `count/cronjobs.batch`: what a quota on the number of such objects is called. */
function countOf(object: KubeObject): string {
  const group = groupOf(object);
  return `count/${resourceOf(object).plural}${group && `.${group}`}`;
}

/** Each port of these takes one of the node ports. */
function hasNodePorts({ spec: { type, allocateLoadBalancerNodePorts = true } }: Service): boolean {
  return type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts);
}

/** What one pod takes of a quota: the sum of its containers, or its largest init container if that is more. Pure. */
export function podDemand({ spec }: PodResources): Amounts {
  const amounts = (container: (typeof spec.containers)[number]): Amounts =>
    Object.fromEntries(
      (['requests', 'limits'] as const).flatMap((kind) =>
        Object.entries(container.resources?.[kind] ?? {}).flatMap(([name, text]) => {
          const value = parseQuantity(text) ?? 0;
          return kind === 'requests'
            ? [
                [`requests.${name}`, value],
                [name, value],
              ]
            : [[`limits.${name}`, value]];
        }),
      ),
    );
  const inits = spec.initContainers ?? [];
  const together = sum(
    [...spec.containers, ...inits.filter(({ restartPolicy }) => restartPolicy === 'Always')].map(amounts),
  );
  for (const init of inits.map(amounts))
    for (const [name, value] of Object.entries(init)) together[name] = Math.max(together[name] ?? 0, value);
  return together;
}

/** Pure. */
export function sum(all: Amounts[]): Amounts {
  const total: Amounts = {};
  for (const amounts of all)
    for (const [name, value] of Object.entries(amounts)) total[name] = (total[name] ?? 0) + value;
  return total;
}
