import { type Finding, messageOf } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { kubeletClientsBinding } from '../../hosted/addons.ts';
import { type WorkerStatus, workerStatus } from '../../hosted/workers.ts';
import { ApiError, ConnectionError, describeConnectionError } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { KubeObject, Node } from '../../kube/objects.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import type { Storage } from '../../plane/storage.ts';

/** What the hosted cluster itself answers. */
export interface HostedStatus {
  answers: boolean;
  problem?: Finding;
  workers: WorkerStatus[];
}

/** Asks the hosted cluster for its nodes, and whether it is still the one that deploy left. */
export async function hostedStatus(
  hosted: HostedCluster,
  namespace: string,
  phase: PlaneRecord['phase'],
  storage: Storage,
): Promise<HostedStatus> {
  try {
    const { ready, failing } = await hosted.ready(3000);
    if (!ready) return noAnswer('the API server is not ready', failing.join(', '));
    const [nodes, binding] = await Promise.all([
      hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' }),
      hosted.get<KubeObject>(
        { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' },
        kubeletClientsBinding,
      ),
    ]);
    return {
      answers: true,
      workers: nodes.items.map(workerStatus),
      // A first deploy has not made the binding yet, so before its end nothing follows from its absence.
      problem:
        binding || phase !== 'available'
          ? undefined
          : {
              what: `etcd lost its data (its ${storage.kind === 'volume' ? 'volume' : 'pod'} was replaced)`,
              fix: words`run ${command('deploy', namespace)} again, then restart the workers' kubelets`,
              anchor: 'data-loss',
              severity: 'fatal',
            },
    };
  } catch (error) {
    return noAnswer('the API does not answer', describeNoAnswer(error));
  }
}

function noAnswer(what: string, why: string): HostedStatus {
  return { answers: false, problem: { what, why, anchor: 'plane-unreachable', severity: 'fatal' }, workers: [] };
}

function describeNoAnswer(error: unknown): string {
  if (error instanceof ConnectionError) return describeConnectionError(error);
  if (error instanceof ApiError && error.status === 401) return 'it refuses the certificate of this plane';
  return error instanceof ApiError ? `${error.status} ${messageOf(error)}`.trim() : messageOf(error);
}
