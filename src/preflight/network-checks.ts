import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject, Service } from '../kube/objects.ts';
import { componentNames } from '../plane/components/lookup.ts';
import { belongsTo, podSelector } from '../plane/names.ts';
import { type DeployCheck, type DeployContext, ok } from './check.ts';
import { trialId } from './trials.ts';

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

interface NetworkPolicy extends KubeObject {
  spec: { podSelector: Selector; policyTypes?: string[]; egress?: object[] };
}

/** Policies add up: what one of the namespace denies, the plane's own open only where they rule egress as well. */
const egressOpen: DeployCheck = {
  name: 'egress-denied',
  claim: () => "No policy of the namespace denies the connections of the plane's pods",
  anchor: 'egress-denied',
  severity: 'fatal',
  dependsOn: ['namespace'],
  applies: ({ spec }) => spec.policyTypes === 'Ingress',
  async probe(context) {
    const { cluster, spec } = context;
    const [policies, record] = await Promise.all([policiesOf(context), context.record()]);
    if (policies === undefined) return { state: 'unknown', why: 'you may not list network policies' };
    const denies = policies.find(
      (policy) => !(record && belongsTo(policy, record.planeId)) && rulesEgress(policy) && selectsPlane(policy, spec),
    );
    // A plane that runs has what it needs: another policy may open it.
    if (!denies || record?.phase === 'available') return ok();
    return {
      state: 'failed',
      what: `networkpolicy "${denies.metadata.name}" of namespace "${cluster.namespace}" denies the pods of the plane all connections that it does not name`,
      why: 'the API server has to reach etcd and the workers, and the other components the API server',
      fix: words`add ${field('policyTypes', 'Ingress,Egress')}: then the plane's own policies open what it needs, and no more`,
    };
  },
};

async function policiesOf({ cluster }: DeployContext): Promise<NetworkPolicy[] | undefined> {
  return cluster.list<NetworkPolicy>({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' }).then(
    ({ items }) => items,
    (error: unknown) => (isForbidden(error) ? undefined : Promise.reject(error)),
  );
}

/** https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/ (policyTypes) */
function rulesEgress({ spec }: NetworkPolicy): boolean {
  return spec.policyTypes?.includes('Egress') ?? spec.egress !== undefined;
}

function selectsPlane({ spec: { podSelector: selector } }: NetworkPolicy, { podLabels }: ClusterSpec): boolean {
  return componentNames.some((component) => selects(selector, { ...podLabels, ...podSelector(trialId, component) }));
}

/** Whether labels fit a selector. Pure. */
function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string>): boolean {
  const fits: Record<string, (value: string | undefined, values: string[]) => boolean> = {
    In: (value, values) => value !== undefined && values.includes(value),
    NotIn: (value, values) => value === undefined || !values.includes(value),
    Exists: (value) => value !== undefined,
    DoesNotExist: (value) => value === undefined,
  };
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => fits[operator]?.(labels[key], values) ?? false)
  );
}

/** Planes have IPv4 addresses, inside and outside. */
const families: DeployCheck = {
  name: 'ip-families',
  claim: () => 'The infra cluster gives the plane IPv4 addresses',
  anchor: 'ip-families',
  severity: 'fatal',
  dependsOn: ['namespace'],
  async probe({ cluster, spec }) {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'k8sk8s-family-preflight' },
      spec: { ports: [{ port: 443 }] },
    };
    const made = await cluster.create(service, { dryRun: true }).catch(() => undefined);
    const first = made?.spec.ipFamilies?.[0];
    if (first === undefined) return { state: 'unknown', why: 'the infra cluster does not show its address families' };
    const fixes = [
      ...(spec.ipFamilies === undefined ? [field('ipFamilies', 'IPv4')] : []),
      ...(spec.inCluster === 'node' ? [field('inCluster', 'loadbalancer')] : []),
    ];
    if (first === 'IPv4' || fixes.length === 0) return ok();
    return {
      state: 'failed',
      what: 'the infra cluster gives services IPv6 addresses first, and a plane needs IPv4 ones',
      why: "the hosted cluster's services and pods have IPv4 addresses, and an infra node says its IPv6 address when it is asked for one",
      fix: words`add ${fixes[0]!}${fixes[1] ? words` ${fixes[1]}` : ''}; an infra cluster without any IPv4 addresses cannot be used yet`,
    };
  },
};

export const networkChecks: DeployCheck[] = [families, egressOpen];
