import { messageOf } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { command, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import {
  type KubeObject,
  nameOf,
  type PersistentVolumeClaim,
  type Pod,
  type Secret,
  type Workload,
} from '../kube/objects.ts';
import { type Applied, applyAll, Existing } from '../live/apply.ts';
import type { Plane } from '../live/open.ts';
import { describeProblem, podProblems } from '../live/pod-problems.ts';
import { isReady, podsOf } from '../live/pods.ts';
import type { BesidePlane } from '../plane/beside/beside.ts';
import { type Beside, besideOf } from '../plane/beside/lookup.ts';
import { belongsTo } from '../plane/names.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

interface PlaneOf extends Pick<Plane, 'record' | 'spec' | 'storage'> {
  cluster: InfraCluster;
}

/** Milliseconds that a deploy waits for it: its image may have to be pulled. */
const patience = 90_000;

/**
 * Makes what stands beside a plane, or takes it away but for a volume with data. A plane works without: what goes wrong is said, and
 * is no error. Worker pods have a way of their own (hosted/worker-pods/), since they are clients of the hosted API.
 *
 * @returns whether it is as the spec wants it
 */
export async function ensureBeside(
  beside: BesidePlane<Beside>,
  plane: PlaneOf,
  applied: Applied,
  work: Work,
): Promise<boolean> {
  const { spec, cluster } = plane;
  try {
    if (beside.replicas(spec) > 0) await make(beside, plane, applied, work);
    else await remove(beside, plane, applied, work);
    return true;
  } catch (error) {
    work.signal.throwIfAborted();
    work.reporter.warn(
      words`the plane is as it should be, but ${beside.called.itself} is not: ${messageOf(error)}; ${command('status', cluster.namespace)} says how it is`,
    );
    return false;
  }
}

/** Whether the namespace still has something of it that a plane has. */
export function hasBeside({ name, kind }: BesidePlane<Beside>, existing: Existing): boolean {
  return existing.ofKind(kind).some((object) => besideOf(object)?.name === name);
}

async function make(
  beside: BesidePlane<Beside>,
  { cluster, record: { planeId }, spec, storage }: PlaneOf,
  applied: Applied,
  work: Work,
): Promise<void> {
  const existing = await Existing.read(cluster);
  const before = existing.find<Secret>({ apiVersion: 'v1', kind: 'Secret', metadata: { name: beside.name } });
  const secret = beside.secret?.(planeId, before);
  const objects = beside.objects({ planeId, spec, storage }).map((object) => asItIs(object, existing));
  const all = [...(secret ? [secret] : []), ...objects];
  await applyAll(cluster, planeId, all, existing, applied, work.reporter);
  const workload = objects.find(({ kind }) => kind === beside.kind) as Workload;
  await untilReady(beside, cluster, planeId, workload, work);
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
  beside: BesidePlane<Beside>,
  cluster: InfraCluster,
  planeId: string,
  workload: Workload,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  let why = 'its pod is not there yet';
  await reporter.during(
    `Waiting for ${beside.called.itself}`,
    (phase) =>
      waitFor({
        until: async () => {
          const pods = (await podsOf(cluster, planeId, beside.name)).filter(
            ({ metadata }) => metadata.annotations?.[templateHash] === templateHashOf(workload),
          );
          why = pods.length > 0 ? troubleOf(beside, pods[0]!) : await refusalOf(cluster, workload);
          return pods.some(isReady);
        },
        now: () => why,
        phase,
        timeout: Math.min(timeout, patience),
        signal,
        every: 1000,
        late: (after) => new Error(`it was not ready within ${after}: ${why}`),
      }),
    beside.called.done,
  );
}

function troubleOf({ containers }: BesidePlane, pod: Pod): string {
  const [problem] = podProblems(pod, containers);
  if (problem) return describeProblem(problem);
  return pod.status?.conditions?.find(({ status, message }) => status === 'False' && message)?.message ?? 'it starts';
}

/** What the ReplicaSet was told when it made the pod. */
async function refusalOf(cluster: InfraCluster, workload: Workload): Promise<string> {
  const now = await cluster.get<Workload>(workload, workload.metadata.name);
  const conditions = (now?.status as { conditions?: { type: string; status: string; message?: string }[] })?.conditions;
  const failure = conditions?.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  return failure?.message ?? 'its pod is not there yet';
}

async function remove(
  { name, kinds, called }: BesidePlane<Beside>,
  { cluster, record }: PlaneOf,
  applied: Applied,
  { reporter }: Work,
): Promise<void> {
  const existing = await Existing.read(cluster);
  for (const { kind, holdsData } of kinds)
    for (const object of existing.ofKind(kind)) {
      if (besideOf(object)?.name !== name || !belongsTo(object, record.planeId)) continue;
      if (holdsData) {
        const what = called.data === undefined ? '' : `, with ${called.data}`;
        reporter.line(
          `${nameOf(object)} stays${what}: kubectl -n ${cluster.namespace} delete ${kind.toLowerCase()} ${object.metadata.name}`,
        );
        continue;
      }
      if (!(await cluster.delete(object, object.metadata.name, object.metadata.uid))) continue;
      applied.changed.push(nameOf(object));
      reporter.line(`${nameOf(object)} deleted`);
    }
}
