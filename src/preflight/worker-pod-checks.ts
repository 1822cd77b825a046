import { contains, overlaps, parseCidr } from '../base/cidr.ts';
import { UserError } from '../base/errors.ts';
import { type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { ApiError, explainCallError, isQuotaExceeded } from '../kube/errors.ts';
import type { Pod } from '../kube/objects.ts';
import { refusedPod } from '../live/admission.ts';
import { infraServiceNetworks } from '../live/infra-services.ts';
import { type DeployCheck, type DeployContext, describeMissingRight, type Outcome, ok, outcomeOf } from './check.ts';
import { namespacePods, trialWorker } from './trials.ts';

const wanted = ({ spec }: DeployContext) => spec.workerPods > 0;

/** A StatefulSet is taken under every level of Pod Security, with a warning; only a pod tells whether pods are. */
const admitted: DeployCheck = {
  name: 'worker-pods',
  claim: () => 'Privileged pods are admitted, for workers',
  anchor: 'worker-pods',
  severity: 'fatal',
  dependsOn: ['namespace'],
  applies: wanted,
  async probe(context): Promise<Outcome> {
    const error = (await trialWorker(context))?.error;
    if (error === undefined) return ok();
    if (describeMissingRight(error)) return { state: 'unknown', why: 'you may not create pods, not even for a trial' };
    if (!(error instanceof ApiError)) return outcomeOf(explainCallError(error, 'try a worker pod'));
    if (isQuotaExceeded(error)) return { state: 'unknown', why: 'the quota is too small to try one' };
    if (/violates PodSecurity/.test(error.message)) return levelTooStrict(context.cluster.namespace, error);
    const { what, fix } = refusedPod('a worker', error.message);
    return { state: 'failed', what, why: error.message, fix };
  },
};

function levelTooStrict(namespace: string, { message }: ApiError): Outcome {
  return {
    state: 'failed',
    what: `namespace "${namespace}" admits no privileged pod, and a worker pod is one`,
    why: `its Pod Security level is in the way: ${message}`,
    fix: `if the infra nodes may belong to whoever administers the hosted cluster, an administrator of the infra cluster allows it: kubectl label --overwrite namespace ${namespace} pod-security.kubernetes.io/enforce=privileged`,
  };
}

/** A worker that is a machine never sees the infra cluster's pods and services; one that is a pod has its own address from them. */
const apart: DeployCheck = {
  name: 'worker-pod-networks',
  claim: () => "The hosted cluster's networks are others than the infra cluster's",
  anchor: 'networks',
  severity: 'fatal',
  dependsOn: ['namespace'],
  applies: (context) => wanted(context) || context.spec.inCluster === 'clusterip',
  async probe(context) {
    const { spec, cluster } = context;
    const [pods, services] = await Promise.all([namespacePods(context), infraServiceNetworks(cluster)]);
    const clash = clashOf(spec, pods, services ?? []);
    return clash ? { state: 'failed', ...clash } : ok();
  },
};

export const workerPodChecks: DeployCheck[] = [admitted, apart];

interface Clash {
  what: Words;
  why: string;
  fix: Words;
}

/** What of the infra cluster has an address that the hosted cluster takes for its own. Pure. */
export function clashOf(spec: ClusterSpec, pods: Pod[], services: string[]): Clash | undefined {
  for (const name of ['serviceCidr', 'podCidr'] as const) {
    const own = parseCidr(spec[name])!;
    const network = services.find((text) => overlaps(own, parseCidr(text) ?? { ...own, first: Infinity }));
    const pod = pods.find(({ status }) => status?.podIP !== undefined && contains(own, status.podIP));
    if (network === undefined && pod === undefined) continue;
    return {
      what:
        network !== undefined
          ? words`${field(name, own.text)} meets the infra cluster's service network ${network}`
          : words`${field(name, own.text)} contains ${pod!.status!.podIP!}, the address of pod ${pod!.metadata.name} of the infra cluster`,
      why: 'a worker pod has an address of the infra cluster and asks its DNS server, so it would look for them inside of the hosted cluster',
      fix: words`choose another ${field(name)}; of a plane that is there it cannot change any more`,
    };
  }
  return undefined;
}

/** For when the plane has pods, which a namespace that was empty at preflight had not. @throws UserError `networks` */
export function demandApart(spec: ClusterSpec, pods: Pod[]): void {
  const clash = clashOf(spec, pods, []);
  if (clash) throw new UserError({ ...clash, anchor: 'networks' });
}
