import { parseQuantity } from '../../base/quantity.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type PersistentVolumeClaim, type StatefulSet } from '../../kube/objects.ts';
import type { Existing } from '../../live/apply.ts';
import { workerPodName, workerPodNumber, workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import { belongsTo, planeSelector } from '../../plane/names.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';

const claimKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

type OfPlane = { cluster: InfraCluster; record: Pick<PlaneRecord, 'planeId'> };
type Template = Pick<PersistentVolumeClaim, 'metadata' | 'spec'>;

const templateOf = (object: KubeObject | undefined): Template | undefined =>
  (object as StatefulSet | undefined)?.spec.volumeClaimTemplates?.[0];

const sizeOf = ({ spec }: Template) => parseQuantity(spec.resources.requests.storage);

/** Whether a claim is of the size and the class that are wanted; a class that nobody names is the infra cluster's choice. */
function isAsWanted(claim: Template, wanted: Template | undefined): boolean {
  if (!wanted) return false;
  const { storageClassName } = wanted.spec;
  return (
    sizeOf(claim) === sizeOf(wanted) &&
    (storageClassName ?? claim.spec.storageClassName) === claim.spec.storageClassName
  );
}

/** Whether the StatefulSet that is there has to be made anew to become the wanted one: nothing of its volumes can change. Pure. */
export function hasOtherVolumes(before: KubeObject | undefined, wanted: KubeObject): boolean {
  if (!before) return false;
  const [old, next] = [templateOf(before), templateOf(wanted)];
  if (!old || !next) return old !== next;
  return sizeOf(old) !== sizeOf(next) || old.spec.storageClassName !== next.spec.storageClassName;
}

/** With other volumes the StatefulSet is made anew; its pods go on running until each is replaced. */
export async function dropStatefulSetOfOtherVolumes(
  { cluster, record }: OfPlane,
  existing: Existing,
  wanted: KubeObject,
  { timeout, signal }: Work,
): Promise<boolean> {
  const before = existing.find<StatefulSet>(wanted);
  if (!before || !belongsTo(before, record.planeId)) return false;
  if (!hasOtherVolumes(before, wanted)) return false;
  await cluster.deleteAlone(before, before.metadata.name, before.metadata.uid);
  await waitFor({
    until: async () => (await cluster.get(before, before.metadata.name)) === undefined,
    timeout,
    signal,
    late: (after) => new Error(`${nameOf(before)} is still there after ${after}`),
  });
  return true;
}

/** The volume of a worker whose pod is about to end, where it is not as wanted: it ends with the pod, which gets another one. */
export async function dropOtherVolume({ cluster, record }: OfPlane, worker: string, wanted: KubeObject): Promise<void> {
  const [claim] = (await claimsOf({ cluster, record })).filter(({ metadata }) => workerOf(metadata.name) === worker);
  if (claim && !isAsWanted(claim, templateOf(wanted)))
    await cluster.delete(claimKind, claim.metadata.name, claim.metadata.uid);
}

/** Deletes the volumes of workers that are no more. */
export async function dropVolumes(
  plane: OfPlane,
  isGone: (worker: KubeObject) => boolean,
  { reporter }: Work,
): Promise<void> {
  for (const claim of await claimsOf(plane)) {
    const worker = { ...claim, metadata: { ...claim.metadata, name: workerOf(claim.metadata.name) } };
    if (!isGone(worker)) continue;
    if (await plane.cluster.delete(claimKind, claim.metadata.name, claim.metadata.uid))
      reporter.line(`${nameOf(claim)} deleted`);
  }
}

async function claimsOf({ cluster, record }: OfPlane): Promise<PersistentVolumeClaim[]> {
  const labelSelector = `${planeSelector(record.planeId)},app.kubernetes.io/name=${workerPodsName}`;
  return (await cluster.list<PersistentVolumeClaim>(claimKind, { labelSelector })).items;
}

/** The claims are called by the volume and the pod. */
function workerOf(claim: string): string {
  const number = workerPodNumber(claim.slice(claim.indexOf('-') + 1));
  return number === undefined ? '' : workerPodName(number);
}
