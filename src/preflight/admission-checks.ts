import { lookup } from 'node:dns/promises';
import { contains, parseCidr } from '../cidr.ts';
import { ApiError, explainInfraError } from '../kube/errors.ts';
import type { KubeObject, Pod, Secret, Service } from '../kube/objects.ts';
import { addressesOf, buildIngress, buildServices } from '../plane/addresses.ts';
import { refusedPod } from '../plane/diagnose.ts';
import { buildWorkloads } from '../plane/workloads.ts';
import { components } from '../spec.ts';
import { type Check, type CheckContext, type Outcome, ok, outcomeOf } from './check.ts';

const trialId = 'plane-preflight';

/** Checks that let the infra cluster judge the real objects, by server-side dry run: nothing is stored. */
export const admissionChecks: Check[] = [
  {
    name: 'pods',
    claim: () => 'The pods of the control plane are admitted',
    anchor: 'pod-refused',
    severity: 'fatal',
    probe: podsAdmitted,
  },
  {
    name: 'quota',
    claim: () => 'The quota has room for the control plane',
    anchor: 'quota',
    severity: 'fatal',
    probe: quotaRoom,
  },
  {
    name: 'ingress',
    claim: () => 'The ingress is accepted',
    anchor: 'ingress',
    severity: 'fatal',
    applies: (spec) => spec.expose === 'ingress',
    probe: ingressAccepted,
  },
  {
    name: 'node-port',
    claim: ({ spec }) => `Node port ${spec.nodePort ?? spec.port} is free`,
    anchor: 'node-port',
    severity: 'fatal',
    applies: (spec) => spec.nodePort !== undefined || (spec.expose === 'nodeport' && spec.port !== undefined),
    async probe(context) {
      if ((await context.existing()).ofKind('Service').length > 0) return ok('The node port is kept');
      return (await trialService(context)).outcome;
    },
  },
  {
    name: 'networks',
    claim: ({ spec }) => `Networks ${spec.serviceCidr} and ${spec.podCidr} collide with no address seen here`,
    anchor: 'networks',
    severity: 'fatal',
    probe: networksFree,
  },
  {
    name: 'infra-services',
    claim: () => 'The hosted services have addresses of their own',
    anchor: 'infra-service-range',
    severity: 'warning',
    async probe(context) {
      const { service } = await trialService(context);
      const address = service?.spec.clusterIP;
      if (!address) return { state: 'unknown', why: 'the infra cluster does not tell its service range' };
      return contains(parseCidr(context.spec.serviceCidr)!, address)
        ? {
            state: 'failed',
            what: `--service-cidr ${context.spec.serviceCidr} is also the infra cluster's service range (it gives out ${address})`,
            why: 'the API server pod could take a hosted service address for an infra one',
            fix: 'choose another --service-cidr if hosted webhooks or aggregated APIs are to work',
          }
        : ok();
    },
  },
  {
    name: 'pull-secret',
    claim: ({ spec }) => `Image pull secret ${spec.imagePullSecret} is there`,
    anchor: 'image-pull-secret',
    severity: 'fatal',
    applies: (spec) => spec.imagePullSecret !== undefined,
    async probe({ cluster, spec }) {
      const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, spec.imagePullSecret!);
      return secret
        ? ok()
        : {
            state: 'failed',
            what: `there is no secret "${spec.imagePullSecret}" in namespace "${cluster.namespace}"`,
            fix: `make it: kubectl -n ${cluster.namespace} create secret docker-registry ${spec.imagePullSecret} …`,
          };
    },
  },
];

/** The plane's own workloads as bare Pods, which quota, LimitRange, pod security and webhooks judge at once. */
function trialPods({ spec }: CheckContext): KubeObject[] {
  const addresses = addressesOf(spec, [
    service('apiserver', '127.0.0.1', spec.nodePort ?? 30000),
    service('etcd0', '127.0.0.1'),
  ]);
  const configHash = Object.fromEntries(components.map((component) => [component, ''])) as Record<
    (typeof components)[number],
    string
  >;
  return buildWorkloads({ planeId: trialId, spec, addresses, configHash }).map((workload) => {
    const { metadata, spec: pod } = (workload as unknown as { spec: { template: { metadata: object; spec: object } } })
      .spec.template;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: `${workload.metadata.name}-preflight` },
      spec: pod,
    } as KubeObject;
  });
}

function service(name: string, clusterIP: string, nodePort?: number): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { clusterIP, ports: [{ port: 443, nodePort }] },
  };
}

async function podsAdmitted(context: CheckContext): Promise<Outcome> {
  // The quota of a plane that runs is used by itself.
  const running = (await context.existing()).ofKind('Deployment').length > 0;
  const refusals = await Promise.all(
    trialPods(context).map(async (pod) => {
      try {
        await context.cluster.create(pod, { dryRun: true });
        return undefined;
      } catch (error) {
        return { pod, error };
      }
    }),
  );
  for (const refusal of refusals) {
    if (!refusal) continue;
    const { pod, error } = refusal;
    if (!(error instanceof ApiError)) return outcomeOf(explainInfraError(error, 'try the pods of the plane'));
    if (running && /exceeded quota/.test(error.message)) continue;
    if (error.status === 403 && /cannot create resource "pods"/.test(error.message))
      return {
        state: 'unknown',
        why: 'you may not create pods, not even for a trial; quota and pod security show when the plane is made',
      };
    return outcomeOf(refusedPod(pod.metadata.name.replace(/-preflight$/, ''), error.message));
  }
  return ok();
}

interface Quota extends KubeObject {
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

/** Each pod alone may fit where all four do not. */
async function quotaRoom(context: CheckContext): Promise<Outcome> {
  if ((await context.existing()).ofKind('Deployment').length > 0) return ok('The quota is used by the plane itself');
  let quotas: Quota[];
  try {
    quotas = (await context.cluster.list<Quota>({ apiVersion: 'v1', kind: 'ResourceQuota' })).items;
  } catch {
    return { state: 'unknown', why: 'you may not read the quotas of the namespace' };
  }
  const wanted = demand(context);
  const short = quotas.flatMap(({ metadata, status }) =>
    Object.entries(wanted).flatMap(([resource, amount]) => {
      const hard = status?.hard?.[resource];
      if (hard === undefined) return [];
      const free = quantity(hard) - quantity(status?.used?.[resource] ?? '0');
      return amount > free
        ? [
            `quota "${metadata.name}" leaves ${show(resource, free)} of ${resource}, the plane needs ${show(resource, amount)}`,
          ]
        : [];
    }),
  );
  return short.length === 0
    ? ok()
    : {
        state: 'failed',
        what: `the quota of namespace "${context.cluster.namespace}" is too small`,
        why: short.join('; '),
        fix: 'ask for a larger quota, free some of it, or ask for less with --resources',
      };
}

function demand(context: CheckContext): Record<string, number> {
  const pods = trialPods(context) as unknown as {
    spec: { containers: { resources?: { requests?: Record<string, string>; limits?: Record<string, string> } }[] };
  }[];
  const total: Record<string, number> = {
    pods: pods.length,
    secrets: 6,
    services: 2,
    configmaps: 1,
    'services.nodeports': 1,
    'count/deployments.apps': 3,
    'count/statefulsets.apps': 1,
  };
  for (const { resources } of pods.flatMap(({ spec }) => spec.containers)) {
    for (const [kind, values] of Object.entries(resources ?? {})) {
      for (const [name, value] of Object.entries(values ?? {})) {
        const names = kind === 'requests' ? [`requests.${name}`, name] : [`limits.${name}`];
        for (const each of names) total[each] = (total[each] ?? 0) + quantity(value as string);
      }
    }
  }
  return total;
}

/** A Kubernetes quantity (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/) as a number. */
function quantity(text: string): number {
  const match = /^([\d.]+)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text);
  const units: Record<string, number> = {
    m: 1e-3,
    k: 1e3,
    M: 1e6,
    G: 1e9,
    T: 1e12,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
  };
  return match ? Number(match[1]) * (units[match[2] ?? ''] ?? 1) : 0;
}

function show(resource: string, amount: number): string {
  if (resource.endsWith('memory')) return `${Math.round(amount / 2 ** 20)}Mi`;
  return resource.endsWith('cpu') ? `${Math.round(amount * 1000)}m` : String(amount);
}

async function ingressAccepted(context: CheckContext): Promise<Outcome> {
  const { cluster, spec } = context;
  if ((await context.existing()).ofKind('Ingress').length > 0) return ok('The ingress is there already');
  try {
    const trial = (await cluster.create(renamed(buildIngress(trialId, spec)[0]!), { dryRun: true })) as KubeObject & {
      spec: { ingressClassName?: string };
    };
    const chosen = trial.spec.ingressClassName;
    return chosen
      ? ok(`The ingress is accepted, class ${chosen}`)
      : {
          state: 'unknown',
          why: 'the infra cluster names no default ingress class; choose one with --ingress-class if its controller does not pick the ingress up',
        };
  } catch (error) {
    if (!(error instanceof ApiError)) return outcomeOf(explainInfraError(error, 'try the ingress'));
    return {
      state: 'failed',
      what: 'the infra cluster refuses the ingress',
      why: error.message,
      fix: 'choose another --host or --ingress-class, or use --expose nodeport',
    };
  }
}

/** The API server's service, as the cluster would make it: it tells an address of its range, and whether the port is free. */
async function trialService(context: CheckContext): Promise<{ service?: Service; outcome: Outcome }> {
  const { cluster, spec } = context;
  const wanted = buildServices(trialId, spec).find(({ metadata }) => metadata.name === 'apiserver')!;
  try {
    return { service: (await cluster.create(renamed(wanted), { dryRun: true })) as Service, outcome: ok() };
  } catch (error) {
    if (!(error instanceof ApiError)) return { outcome: outcomeOf(explainInfraError(error, 'try the service')) };
    const taken = /already allocated/.test(error.message);
    return {
      outcome: {
        state: 'failed',
        what: taken
          ? `node port ${spec.nodePort ?? spec.port} is already taken on the infra cluster`
          : `node port ${spec.nodePort ?? spec.port} cannot be used on the infra cluster`,
        why: error.message,
        fix: taken
          ? 'choose another --node-port, or leave it out and let the cluster choose'
          : 'choose a --node-port within the range named above (30000-32767 unless its administrator changed it)',
      },
    };
  }
}

function renamed(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-preflight` } };
}

async function networksFree({ cluster, spec }: CheckContext): Promise<Outcome> {
  const pods = (await cluster.list<Pod>({ apiVersion: 'v1', kind: 'Pod' })).items;
  const host = await lookup(spec.host).then(
    ({ address }) => [{ address, what: `the address of ${spec.host}` }],
    () => [],
  );
  const seen = [
    ...host,
    ...pods.flatMap(({ status }) => (status?.hostIP ? [{ address: status.hostIP, what: 'an infra node' }] : [])),
  ];
  for (const [option, text] of [
    ['--service-cidr', spec.serviceCidr],
    ['--pod-cidr', spec.podCidr],
  ] as const) {
    const clash = seen.find(({ address }) => contains(parseCidr(text)!, address));
    if (clash)
      return {
        state: 'failed',
        what: `${option} ${text} contains ${clash.address}, ${clash.what}`,
        why: 'workers would look for it inside the hosted cluster and not find it',
        fix: `choose another ${option}`,
      };
  }
  return ok();
}
