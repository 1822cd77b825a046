import { isDeepStrictEqual } from 'node:util';
import { writeFiles } from '../access/files.ts';
import { UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { ApiError, explainCallError, isNotFound, isQuotaExceeded } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { followsObject } from '../live/followed.ts';
import { inHostedCluster } from '../live/open.ts';
import { readRecord, requireRecord } from '../live/record.ts';
import type { AskedPlane, MadePlane } from '../operations/class/create.ts';
import { removeFiles } from '../operations/class/handout.ts';
import type { Student } from '../operations/class/queue.ts';
import { refuseSealed } from '../operations/class/reset.ts';
import type { WantedLifetime } from '../operations/deploy/lifetime.ts';
import { destroy } from '../operations/destroy.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { untilMade } from './by-object.ts';
import { reasonOf } from './conditions.ts';
import { accountObjects } from './install.ts';
import { consentAnnotation, lookAnnotation, tenantRole } from './names.ts';
import { type HostedControlPlane, kind, specOf } from './object.ts';

/** What stands in a student's namespace beside the rest, for a plane that the operator makes. Pure. @param users who may change its object */
export function objectsForOperator({ namespace }: Student, users: string[]): KubeObject[] {
  const apiGroup = 'rbac.authorization.k8s.io';
  const binding = {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: tenantRole },
    roleRef: { apiGroup, kind: 'ClusterRole', name: tenantRole },
    subjects: users.map((name) => ({ apiGroup, kind: 'User', name })),
  } as KubeObject;
  return [...accountObjects(namespace), ...(users.length > 0 ? [binding] : [])];
}

/** Fields of an object that are the end of its plane. */
export function lifeOfClass(wanted: WantedLifetime): { expiresAt?: string | null } {
  if (wanted === undefined) return {};
  return { expiresAt: wanted === 'endless' ? null : wanted.at.toISOString() };
}

/**
 * Makes the object of a student's plane, or changes what of it was asked for; everything else of it stays as it is.
 *
 * @param given fields of the spec; null takes one out
 * @param usual fields that a new object has besides
 * @param notes labels and annotations of a new object
 * @throws UserError `bad-values`, `not-adopted` where the plane is the command line's, `operator-not-installed`, `rights`
 */
export async function askByObject(
  cluster: InfraCluster,
  given: object,
  usual: object,
  notes: Notes = {},
): Promise<AskedPlane> {
  const { namespace } = cluster;
  const present = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName).catch((error: unknown) => {
    throw explainCallError(error, `read the HostedControlPlane of namespace "${namespace}"`);
  });
  const recorded = await readRecord(cluster);
  if (recorded && !(await followsObject(cluster))) throw ofCommandLine(namespace);
  const { fields, changes } = changesOf(present?.spec, given, usual, recorded);
  if (present && Object.keys(changes).length === 0) return { object: present, created: 0, changed: 0 };
  try {
    if (present) {
      const object = await cluster.merge<HostedControlPlane>(kind, hostedControlPlaneName, { spec: changes });
      return { object, created: 0, changed: 1 };
    }
    const object = await cluster.create(newObject(fields, notes));
    return { object, created: 1, changed: 0 };
  } catch (error) {
    // Of an object that is not there yet: the infra cluster does not know the kind.
    if (isNotFound(error) && !present) throw noOperator(error);
    throw explainCallError(error, `${present ? 'change' : 'make'} the HostedControlPlane of namespace "${namespace}"`);
  }
}

const newObject = (spec: object, notes: Notes) =>
  ({ ...hostedControlPlane, metadata: { name: hostedControlPlaneName, ...notes }, spec }) as HostedControlPlane;

/**
 * The whole spec, and what of it is another than before. Values are those that the schema makes of what was given, since the infra
 * cluster takes no number that is a text. Refused here as without the operator, whose refusal would stand in each object.
 *
 * @throws UserError `bad-values`
 */
function changesOf(
  before: HostedControlPlane['spec'] | undefined,
  given: object,
  usual: object,
  recorded: PlaneRecord | undefined,
): { fields: object; changes: object } {
  const kept = Object.entries({ ...(before ?? usual), ...given }).filter(([, value]) => value !== null);
  const parsed: Record<string, unknown> = specOf({ spec: Object.fromEntries(kept) } as HostedControlPlane, recorded);
  const typed = (name: string, value: unknown) => (value === null ? null : (parsed[name] ?? value));
  const changes = Object.entries(given)
    .map(([name, value]) => [name, typed(name, value)] as const)
    .filter(([name, value]) => !isDeepStrictEqual(before?.[name as keyof typeof before] ?? null, value));
  const fields = kept.map(([name, value]) => [name, name in given ? typed(name, value) : value]);
  return { fields: Object.fromEntries(fields), changes: Object.fromEntries(changes) };
}

/** Waits for the operator, and writes the files for who administers the plane. @throws UserError `object-not-made` */
export async function madeByObject(
  cluster: InfraCluster,
  { object, created, changed }: AskedPlane,
  files: { dir: string; force: boolean },
  work: Work,
): Promise<MadePlane> {
  const made = await untilMade(cluster, object as HostedControlPlane, { mayBeAsleep: true, final: 'refused' }, work);
  const server = made.status?.server ?? '';
  // A plane that sleeps makes no token for workers.
  if (made.status?.replicas === 0) return { server, created, changed };
  const { kubeconfig } = await inHostedCluster(cluster, ({ spec, addresses, bundle }, hosted) =>
    writeFiles({ ...files, spec, addresses, bundle, hosted, reporter: work.reporter }),
  );
  return { server, kubeconfig, created, changed };
}

/** What a plane was before it is made anew. */
export interface ObjectBefore {
  planeId: string;
  spec: HostedControlPlane['spec'];
  notes: Notes;
}

/** What others have written onto an object: by these, a GitOps program or a policy knows it. */
export type Notes = Pick<KubeObject['metadata'], 'labels' | 'annotations'>;

/** Annotations that were about the object that is gone: what kubectl applied to it, the consent to one of its changes, and a look at it. */
const ofOneObject = ['kubectl.kubernetes.io/last-applied-configuration', consentAnnotation, lookAnnotation];

/** What of an object's labels and annotations belongs to the next one, too. Pure. */
function notesOf({ labels, annotations }: Notes = {}): Notes {
  const kept = Object.entries(annotations ?? {}).filter(([name]) => !ofOneObject.includes(name));
  return { ...(labels && { labels }), ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) };
}

export async function objectBefore(cluster: InfraCluster): Promise<ObjectBefore> {
  const { planeId, spec: recorded } = await requireRecord(cluster);
  const object = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName);
  const { asleep: _, ...spec } = object?.spec ?? {};
  return {
    planeId,
    spec: { ...spec, kubernetesVersion: recorded.kubernetesVersion },
    notes: notesOf(object?.metadata),
  };
}

/**
 * Deletes the object with its plane, makes it again as it was, and waits for the plane. After an earlier try, the plane may be gone already.
 *
 * @throws UserError before anything is deleted, where the object could not be made again
 */
export async function resetByObject(
  cluster: InfraCluster,
  before: ObjectBefore,
  files: { dir: string; force: boolean },
  work: Work,
): Promise<MadePlane> {
  const present = await readRecord(cluster);
  if (present?.planeId === before.planeId) {
    await refuseUnmakeable(cluster, before);
    removeFiles(files.dir);
    await destroy(cluster, { ...work, agreed: present });
  }
  await untilObjectGone(cluster, work);
  return madeByObject(cluster, await askByObject(cluster, before.spec, {}, before.notes), files, work);
}

/** An object that is being deleted is none that could be changed; the garbage collector takes its last finalizer off. */
async function untilObjectGone(cluster: InfraCluster, { timeout, signal }: Work): Promise<void> {
  await waitFor({
    until: async () => (await cluster.get(kind, hostedControlPlaneName))?.metadata.deletionTimestamp === undefined,
    every: 500,
    late: (after) =>
      new UserError({
        what: `the HostedControlPlane of namespace "${cluster.namespace}" is still there after ${after}`,
        why: 'it was deleted, and has a finalizer that nobody removes',
        fix: words`see which one: kubectl -n ${cluster.namespace} get hcp k8sk8s -o yaml; then ${again}`,
        anchor: 'not-gone',
      }),
    timeout,
    signal,
  });
}

/**
 * An administrator, or an older policy, may have let in what whoever asks may not make; and the operator may not be able to make it.
 *
 * @throws UserError `class`, `seal-file`, `bad-values`
 */
export async function refuseUnmakeable(
  cluster: InfraCluster,
  { spec, notes }: Pick<ObjectBefore, 'spec' | 'notes'>,
): Promise<void> {
  const { fields } = changesOf(undefined, spec, {}, undefined);
  await refuseSealed(cluster, specOf({ spec } as HostedControlPlane, undefined));
  const now = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName);
  if (spec.paused) throw kept(cluster, 'spec.paused is true, so the operator would not make it again');
  const degraded = now?.status?.conditions?.find(({ type }) => type === 'Degraded');
  if (degraded?.reason === reasonOf('namespace-not-allowed')) throw kept(cluster, degraded.message);
  try {
    await cluster.create(newObject(fields, notes), { dryRun: true });
  } catch (error) {
    // Definition and policies are asked before the API server sees that there is one, and the quota last of all, which counts that one.
    if (error instanceof ApiError && (error.reason === 'AlreadyExists' || isQuotaExceeded(error))) return;
    const isRefused = error instanceof ApiError && [400, 403, 422].includes(error.status);
    if (isRefused) throw kept(cluster, error.message, error);
    throw explainCallError(
      error,
      `try whether the HostedControlPlane of namespace "${cluster.namespace}" could be made`,
    );
  }
}

function kept({ namespace }: InfraCluster, why: string, cause?: unknown): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" stays as it is: its object could not be made again`,
    why,
    fix: words`change the object (kubectl -n ${namespace} edit hcp k8sk8s), or ask the administrator of the infra cluster to allow what it says; then ${again}`,
    anchor: 'class',
    kind: 'refused',
    cause,
  });
}

function ofCommandLine(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" was made by the command line, and follows no object`,
    why: 'an object beside it would be left alone by the operator',
    fix: words`let it follow one: ${command('adopt', namespace)}; or work without the operator`,
    anchor: 'not-adopted',
    kind: 'refused',
  });
}

function noOperator(cause: unknown): UserError {
  return new UserError({
    what: 'the infra cluster does not know HostedControlPlanes',
    why: 'no operator was installed there',
    fix: words`its administrator installs it with ${command('operator install')}; without an operator, the class is made by this program alone`,
    anchor: 'operator-not-installed',
    kind: 'refused',
    cause,
  });
}
