import { randomBytes } from 'node:crypto';
import { messageOf } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { command, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type PersistentVolumeClaim, type Secret, type Workload } from '../kube/objects.ts';
import { type Applied, applyAll, Existing } from '../live/apply.ts';
import type { Plane } from '../live/open.ts';
import { podProblems } from '../live/pod-problems.ts';
import { isReady, podsOf } from '../live/pods.ts';
import {
  buildLogStore,
  isLogStore,
  logStoreKinds,
  logStoreName,
  logStoreSecret,
  passwordIn,
} from '../plane/log-store/log-store.ts';
import { belongsTo } from '../plane/names.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

interface LogStoreOf extends Pick<Plane, 'record' | 'spec' | 'storage'> {
  cluster: InfraCluster;
}

/** Milliseconds that a deploy waits for it: its image may have to be pulled. */
const patience = 90_000;

/**
 * Makes what keeps the plane's logs, or takes it away but for the volume with the logs. A plane works without: what goes wrong is
 * said, and is no error.
 *
 * @returns whether it is as the spec wants it
 */
export async function ensureLogStore(plane: LogStoreOf, applied: Applied, work: Work): Promise<boolean> {
  const { spec, cluster } = plane;
  try {
    if (spec.logs) await makeLogStore(plane, applied, work);
    else await removeLogStore(plane, applied, work);
    return true;
  } catch (error) {
    work.signal.throwIfAborted();
    work.reporter.warn(
      words`the plane is as it should be, but what keeps its logs is not: ${messageOf(error)}; ${command('status', cluster.namespace)} says how it is`,
    );
    return false;
  }
}

async function makeLogStore(
  { cluster, record, spec, storage }: LogStoreOf,
  applied: Applied,
  work: Work,
): Promise<void> {
  const existing = await Existing.read(cluster);
  const { planeId } = record;
  const before = existing.find<Secret>({ apiVersion: 'v1', kind: 'Secret', metadata: { name: logStoreName } });
  const secret = logStoreSecret(planeId, passwordIn(before) ?? randomBytes(18).toString('base64url'));
  const objects = buildLogStore(planeId, spec, storage).map((object) => asItIs(object, existing));
  await applyAll(cluster, planeId, [secret, ...objects], existing, applied, work.reporter);
  await untilReady(cluster, planeId, objects.find(({ kind }) => kind === 'Deployment') as Workload, work);
}

/** A claim's class cannot change, and it cannot become smaller. */
function asItIs(object: KubeObject, existing: Existing): KubeObject {
  const before = existing.find<PersistentVolumeClaim>(object);
  if (object.kind !== 'PersistentVolumeClaim' || !before) return object;
  const { spec } = object as PersistentVolumeClaim;
  const sizes = [spec, before.spec].map(({ resources }) => resources.requests.storage);
  const size = parseQuantity(sizes[0]!)! >= parseQuantity(sizes[1]!)! ? sizes[0]! : sizes[1]!;
  const { storageClassName } = before.spec;
  return {
    ...object,
    spec: {
      ...spec,
      resources: { requests: { storage: size } },
      ...(storageClassName !== undefined && { storageClassName }),
    },
  } as KubeObject;
}

async function untilReady(
  cluster: InfraCluster,
  planeId: string,
  deployment: Workload,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  let why = 'its pod is not there yet';
  await reporter.during(
    'Waiting for what keeps the logs',
    (phase) =>
      waitFor({
        until: async () => {
          const pods = (await podsOf(cluster, planeId, logStoreName)).filter(
            ({ metadata }) => metadata.annotations?.[templateHash] === templateHashOf(deployment),
          );
          why = pods.length > 0 ? troubleOf(pods[0]!) : await refusalOf(cluster);
          return pods.some(isReady);
        },
        now: () => why,
        phase,
        timeout: Math.min(timeout, patience),
        signal,
        every: 1000,
        late: (after) => new Error(`it was not ready within ${after}: ${why}`),
      }),
    'The logs are kept',
  );
}

function troubleOf(pod: Parameters<typeof podProblems>[0]): string {
  const [problem] = podProblems(pod, [logStoreName, 'log-follower']);
  if (problem) return problem.says;
  return pod.status?.conditions?.find(({ status, message }) => status === 'False' && message)?.message ?? 'it starts';
}

/** What the ReplicaSet was told when it made the pod. */
async function refusalOf(cluster: InfraCluster): Promise<string> {
  const kind = { apiVersion: 'apps/v1', kind: 'Deployment' };
  const now = await cluster.get<Workload>(kind, logStoreName);
  const conditions = (now?.status as { conditions?: { type: string; status: string; message?: string }[] })?.conditions;
  const failure = conditions?.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  return failure?.message ?? 'its pod is not there yet';
}

async function removeLogStore({ cluster, record }: LogStoreOf, applied: Applied, { reporter }: Work): Promise<void> {
  const existing = await Existing.read(cluster);
  const own = logStoreKinds
    .flatMap(({ kind }) => existing.ofKind(kind))
    .filter((object) => isLogStore(object) && belongsTo(object, record.planeId));
  for (const object of own) {
    if (object.kind === 'PersistentVolumeClaim') {
      reporter.line(
        `${nameOf(object)} stays, with the logs: kubectl -n ${cluster.namespace} delete pvc ${logStoreName}`,
      );
      continue;
    }
    if (!(await cluster.delete(object, object.metadata.name, object.metadata.uid))) continue;
    applied.changed.push(nameOf(object));
    reporter.line(`${nameOf(object)} deleted`);
  }
}
