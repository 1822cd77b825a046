import { type Finding, messageOf } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { allAuthenticatorsOf } from '../../config/infra-identity.ts';
import { kubeletClientsBinding } from '../../hosted/addons/addons.ts';
import { dialledHosts } from '../../hosted/dialled.ts';
import { unreachableIssuers } from '../../hosted/issuers.ts';
import { hasBinding, isSameCluster } from '../../hosted/same-cluster.ts';
import { problemOfFirstPod } from '../../hosted/usable.ts';
import { type WorkerStatus, workerStatus } from '../../hosted/workers.ts';
import { ApiError, ConnectionError, describeConnectionError } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Node } from '../../kube/objects.ts';
import { hinderedStart } from '../../live/hindered-start.ts';
import { connectAsPerson, type Plane } from '../../live/open.ts';
import { podsOf } from '../../live/pods.ts';
import { infraIssuerOf } from '../../plane/components/kube-apiserver/identity.ts';
import type { Storage } from '../../plane/storage.ts';
import { needsProblems, readNeeds } from './users-needs.ts';

/** What the hosted cluster itself answers. */
export interface HostedStatus {
  answers: boolean;
  problem?: Finding;
  workers: WorkerStatus[];
  /** What its users lack although its API answers. */
  lacks: Finding[];
}

/** Asks the hosted cluster for its nodes, whether it is still the one that deploy left, and whether its users can work with it. */
export async function hostedStatus(
  { cluster, hosted, now }: { cluster: InfraCluster; hosted: HostedCluster; now: Date },
  { record, spec, storage, addresses, bundle }: Plane,
): Promise<HostedStatus> {
  const { namespace } = cluster;
  try {
    const { ready, failing } = await hosted.ready(3000);
    if (!ready) return await noAnswer('the API server is not ready', failing.join(', '), cluster, record.planeId);
    const [nodes, same, binding] = await Promise.all([
      hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' }),
      isSameCluster(hosted, record),
      hasBinding(hosted),
    ]);
    const workers = nodes.items.map(workerStatus);
    if (record.earlierHosts) {
      const dialled = await dialledHosts(
        hosted,
        workers.map(({ name }) => name),
      );
      for (const worker of workers) worker.dials = dialled.get(worker.name) ?? 'unknown';
    }
    const answered = { answers: true, workers };
    // Before the end of a first deploy, nothing follows from what is not there yet.
    if (record.phase !== 'available') return { ...answered, lacks: [] };
    const problem = missing(same, binding, namespace, storage);
    const [obstacle, needs, issuers] = await Promise.all([
      obstacleOf(cluster, { addresses, bundle }),
      readNeeds(hosted, nodes.items),
      unreachableIssuers(hosted, allAuthenticatorsOf(spec, infraIssuerOf(bundle, record)), namespace),
    ]);
    return {
      ...answered,
      problem,
      lacks: [...(obstacle && !problem ? [obstacle] : []), ...needsProblems(needs, spec, namespace, now), ...issuers],
    };
  } catch (error) {
    return noAnswer('the API does not answer', describeNoAnswer(error), cluster, record.planeId);
  }
}

async function obstacleOf(
  cluster: InfraCluster,
  { addresses, bundle }: Pick<Plane, 'addresses' | 'bundle'>,
): Promise<Finding | undefined> {
  const person = await connectAsPerson(cluster, addresses, bundle);
  try {
    return await problemOfFirstPod(person, cluster.namespace);
  } finally {
    await person.close();
  }
}

function missing(same: boolean, binding: boolean, namespace: string, storage: Storage): HostedStatus['problem'] {
  if (!same)
    return {
      what: `etcd lost its data (its ${storage.kind === 'volume' ? 'volume' : 'pod'} was replaced)`,
      fix: words`run ${command('deploy', namespace)} again, then restart the workers' kubelets`,
      anchor: 'data-loss',
      severity: 'fatal',
    };
  if (binding) return undefined;
  return {
    what: `clusterrolebinding ${kubeletClientsBinding} is gone from the hosted cluster: logs, exec and metrics fail`,
    why: 'somebody in the hosted cluster deleted it',
    fix: words`run ${command('deploy', namespace)} again`,
    anchor: 'binding-gone',
    severity: 'fatal',
  };
}

async function noAnswer(what: string, why: string, cluster: InfraCluster, planeId: string): Promise<HostedStatus> {
  const problem: Finding = { what, why, anchor: 'plane-unreachable', severity: 'fatal' };
  const hindered = (await podsOf(cluster, planeId, 'kube-apiserver')).map((pod) => hinderedStart(cluster, pod));
  const known = (await Promise.all(hindered)).find((each) => each !== undefined);
  return { answers: false, problem: known ?? problem, workers: [], lacks: [] };
}

function describeNoAnswer(error: unknown): string {
  if (error instanceof ConnectionError) return describeConnectionError(error);
  if (error instanceof ApiError && error.status === 401) return 'it refuses the certificate of this plane';
  return error instanceof ApiError ? `${error.status} ${messageOf(error)}`.trim() : messageOf(error);
}
