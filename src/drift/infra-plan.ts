import type { ClusterSpec } from '../config/schema.ts';
import { planWorkers, type WorkerPlan } from '../hosted/worker-pods/plan.ts';
import { hasOtherVolumes } from '../hosted/worker-pods/volumes.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../live/apply.ts';
import { asOwner } from '../live/lifetime.ts';
import { podsOf } from '../live/pods.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import type { Addresses } from '../plane/addresses.ts';
import { isWorkerPods, workerPodsName } from '../plane/beside/worker-pods/worker-pods.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { renderPlane } from '../plane/render.ts';
import { addressesStep, certificatesStep, type Preparation, storageStep, webhookStep } from '../rollout/prepare.ts';
import { type Replacement, replacementsOf } from '../rollout/replacements.ts';
import { runSteps } from '../rollout/steps.ts';
import { quietReporter } from '../ui/quiet.ts';
import { isOfSameMoment, untilUndisturbed } from './same-moment.ts';

export interface InfraPlan {
  applied: Applied;
  /** Pods that a deploy would replace; none of a plane that sleeps. */
  replaced: Replacement[];
  /** What it would do to the workers that are pods. */
  workers: WorkerPlan;
  /** What the namespace held at the moment of the dry run. */
  before: Existing;
  /** Everything of the plane in the infra cluster, as the server would have it after a deploy. */
  objects: KubeObject[];
  addresses: Addresses;
  bundle: PkiBundle;
}

/** Sends what deploy would send as a dry run, the record as it is given. */
export async function planInfra(
  given: InfraCluster,
  record: PlaneRecord,
  spec: ClusterSpec,
  webhookKubeconfig?: string,
): Promise<InfraPlan> {
  const cluster = await asOwner(given);
  return untilUndisturbed(
    async () => planOver(await Existing.read(cluster), cluster, record, spec, webhookKubeconfig),
    ({ before, objects }) => objects.every((object) => isOfSameMoment(before.find(object), object)),
  );
}

/** A dry run ends by itself. */
const never = new AbortController().signal;

async function planOver(
  existing: Existing,
  cluster: InfraCluster,
  record: PlaneRecord,
  spec: ClusterSpec,
  webhookKubeconfig: string | undefined,
): Promise<InfraPlan> {
  const applied = nothingApplied();
  const apply = (objects: KubeObject[]) =>
    applyAll(cluster, record.planeId, objects, existing, applied, quietReporter, true);
  const state = {
    cluster,
    spec,
    existing,
    record,
    apply,
    webhookKubeconfig,
    members: spec.etcdMembers,
    starting: record.phase !== 'available',
    settle: async (services, _spec) => services,
  } as Preparation;
  await runSteps([storageStep, addressesStep, certificatesStep, webhookStep], state, never);
  const { replaces, exposure, addresses, bundle } = state;
  const plane = renderPlane(state);
  // One that is to be deleted first cannot be tried.
  const anew: KubeObject[] = replaces ? [plane.workloads.etcd] : [];
  applied.changed.push(...anew.map(nameOf));
  const done: KubeObject[] = [...plane.services, ...plane.exposure, ...anew];
  const rest = plane.all().filter((object) => !done.includes(object));
  const second = await tryRest(rest, state, applied);
  const pods = await podsOf(cluster, record.planeId);
  const replaced = replacementsOf(plane, existing, second, pods);
  const statefulSet = plane.beside[workerPodsName].find(isWorkerStatefulSet);
  const before = existing.ofKind('StatefulSet').find(isWorkerPods);
  const workers = planWorkers(pods, spec.workerPods, before, statefulSet);
  return { applied, replaced, workers, before: existing, objects: [...exposure, ...second], addresses, bundle };
}

const isWorkerStatefulSet = (object: KubeObject) => object.kind === 'StatefulSet' && isWorkerPods(object);

/** Deploy makes a StatefulSet of other volumes anew, so it is tried as a new one, by a name that is free. */
async function tryRest(
  objects: KubeObject[],
  { cluster, existing, apply }: Preparation,
  applied: Applied,
): Promise<KubeObject[]> {
  const anew = objects.find((object) => isWorkerStatefulSet(object) && hasOtherVolumes(existing.find(object), object));
  const tried = await apply(objects.filter((object) => object !== anew));
  if (!anew) return tried;
  const { name } = anew.metadata;
  const free = { ...anew, metadata: { ...anew.metadata, name: `${name}-anew` } };
  const made = await cluster.create(free, { dryRun: true }).catch((error: unknown) => {
    throw explainCallError(error, `apply ${nameOf(anew)} in namespace "${cluster.namespace}"`);
  });
  applied.changed.push(nameOf(anew));
  const { resourceVersion } = existing.find(anew)!.metadata;
  return [...tried, { ...made, metadata: { ...made.metadata, name, resourceVersion } }];
}
