import { type Finding, UserError } from '../base/errors.ts';
import { command, plain, words } from '../base/words.ts';
import { ApiError, ConnectionError, describeConnectionError, missingRight } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { connectAsPerson, type Plane } from '../live/open.ts';
import type { PodWatch } from '../live/pod-watch.ts';
import { waitAtMost } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { admissionFix } from './admission.ts';

/** Milliseconds that are given to what users of the hosted cluster may have made: a webhook whose pods are not back yet. */
const ownGrace = 15_000;

/** Nobody's Pod Security level refuses it. */
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'k8sk8s-dry-run', namespace: 'default' },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'pause',
        image: 'pause',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
} as KubeObject;

/**
 * What is in the way of the first thing that a person would do: list, and make a pod in namespace default. Nothing is stored.
 * A quota or a policy of the hosted cluster that refuses this very pod is its users' own will, and in nobody's way.
 *
 * @param person the hosted cluster as the administrator of tls/kubeconfig
 * @returns undefined when nothing is
 */
export async function problemOfFirstPod(person: HostedCluster, namespace: string): Promise<Finding | undefined> {
  const unusable = (why: string, fix?: Finding['fix']): Finding => ({
    what: 'the hosted API answers, and its administrator cannot make a pod',
    why,
    fix: fix ?? words`look at ${command('status', namespace)}`,
    anchor: 'not-usable',
    severity: 'fatal',
  });
  try {
    await person.transport.request({ method: 'GET', path: '/api/v1/namespaces', query: { limit: 1 }, retries: 0 });
    if (!(await person.get({ apiVersion: 'v1', kind: 'ServiceAccount' }, 'default', 'default')))
      return unusable(
        'namespace default has no ServiceAccount default, which kube-controller-manager makes',
        words`look at ${command('logs', namespace, 'kube-controller-manager')}`,
      );
    await person.tryCreate(pod);
    return undefined;
  } catch (error) {
    if (error instanceof ConnectionError) return unusable(describeConnectionError(error));
    if (!(error instanceof ApiError)) throw error;
    if (missingRight(error))
      return unusable(
        error.message,
        words`ClusterRoleBinding k8sk8s:cluster-admins or its ClusterRole is not as it should be: ${command('deploy', namespace)} puts it back`,
      );
    // A webhook that answers no, or knows no dry runs, is there and works.
    return error.status === 401 || error.status >= 500 || /service account/.test(error.message)
      ? unusable(error.message, await admissionFix(person, error))
      : undefined;
  }
}

/**
 * Waits until the administrator of a plane whose API answers can use it, and says AVAILABLE. What is in the way of a plane
 * that was available before may be its users' own: it is told, and does not end the work.
 *
 * @throws UserError `not-usable` of a plane that was never available, and what is wrong with its pods
 */
export async function waitUsable(
  cluster: InfraCluster,
  { record, addresses, bundle }: Pick<Plane, 'record' | 'addresses' | 'bundle'>,
  watch: PodWatch,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  const isNew = record.phase === 'deploying';
  const person = await connectAsPerson(cluster, addresses, bundle);
  let obstacle: Finding | undefined;
  const unobstructed = async () => {
    obstacle = await problemOfFirstPod(person, cluster.namespace);
    // What ails a pod is told by whoever waits for all of them next.
    return obstacle === undefined || (!isNew && watch.failure !== undefined);
  };
  try {
    await reporter.during(
      'Waiting until a pod can be made',
      async (phase) => {
        await waitAtMost({
          until: unobstructed,
          failure: () => watch.failure,
          now: () => obstacle && plain(obstacle.why ?? obstacle.what),
          timeout: isNew ? timeout : Math.min(timeout, ownGrace),
          phase,
          signal,
          every: 50,
        });
        if (obstacle && isNew) throw new UserError(obstacle);
      },
      () => (obstacle ? undefined : 'AVAILABLE !'),
    );
  } finally {
    await person.close();
  }
  if (obstacle) reporter.warn(words`${obstacle.what}: ${obstacle.why ?? ''}; ${obstacle.fix ?? ''}`);
}
