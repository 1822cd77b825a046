import { clashOf } from '../hosted/worker-pods/apart.ts';
import { ApiError, explainCallError, isQuotaExceeded } from '../kube/errors.ts';
import { refusedPod } from '../live/admission.ts';
import { infraServiceNetworks } from '../live/infra-services.ts';
import { workerPodsName } from '../plane/beside/worker-pods/worker-pods.ts';
import { type DeployCheck, type DeployContext, describeMissingRight, type Outcome, ok, outcomeOf } from './check.ts';
import { namespacePods, trialsBeside } from './trials.ts';

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
    const error = (await trialsBeside(context)).find(({ name }) => name === workerPodsName)?.error;
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
