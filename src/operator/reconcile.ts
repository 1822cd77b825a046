import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { connectInfra } from '../kube/connect.ts';
import type { Connection } from '../kube/connection.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { openPlane } from '../live/open.ts';
import { readRecord } from '../live/record.ts';
import { deploy } from '../operations/deploy/deploy.ts';
import { sleepPlane, wakePlane } from '../operations/sleep.ts';
import { removedApiProblems } from '../operations/upgrade/plan.ts';
import { upgrade } from '../operations/upgrade/upgrade.ts';
import { missingRights, requiredRights } from '../preflight/rights.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { Work } from '../ui/work.ts';
import { type Fact, factOfProgress, factsOfFailure, factsOfSuccess } from './conditions.ts';
import { accountOf, consentAnnotation } from './names.ts';
import { type HostedControlPlane, kind, lifeOf, type Status, specOf } from './object.ts';
import { setOwner } from './ownership.ts';

/** What the operator needs to work on one plane. */
export interface Surrounding {
  /** As the operator itself; a plane's namespace is entered as its account. */
  connection: Connection;
  hostedBy: 'address' | 'service';
  /** Name of this operator, for the plane's lock. */
  identity: string;
  reporter: Reporter;
  /** Milliseconds for each step. */
  timeout: number;
  /** Fires when the object is gone, or the operator ends. */
  signal: AbortSignal;
  /** Writes conditions, and fields of the status. */
  tell(facts: Fact[], fields?: Partial<Status>): Promise<void>;
}

/** A plane's namespace, as its account. The caller closes it. */
export function asPlaneAccount(
  object: HostedControlPlane,
  { connection, hostedBy, identity }: Surrounding,
): InfraCluster {
  const namespace = object.metadata.namespace!;
  const { name, uid } = object.metadata;
  return connectInfra({ ...connection, impersonate: { user: accountOf(namespace) } }, namespace, {
    hostedBy,
    actor: { name: identity },
    ...(lifeOf(object).deletionPolicy === 'Delete' && { owner: { ...kind, name, uid: uid! } }),
  });
}

/**
 * Makes the plane of an object what the object says, with the operations of the command line.
 *
 * @returns whether it came to its end; what stood against it is in the object's conditions
 * @throws what `tell` throws
 */
export async function reconcile(object: HostedControlPlane, around: Surrounding): Promise<boolean> {
  const cluster = asPlaneAccount(object, around);
  try {
    await refuseWithoutRights(cluster);
    await bringAbout(object, cluster, around);
    return true;
  } catch (error) {
    if (around.signal.aborted) return false;
    const told = explainCallError(error, `work in namespace "${cluster.namespace}"`);
    if (!(told instanceof UserError)) around.reporter.warn(String((told as Error).stack ?? told));
    await around.tell(factsOfFailure(told, object, await answers(cluster)));
    return false;
  } finally {
    await cluster.close();
  }
}

async function bringAbout(object: HostedControlPlane, cluster: InfraCluster, around: Surrounding): Promise<void> {
  const { reporter, timeout, signal, tell } = around;
  const work: Work = { reporter, timeout, signal };
  const { asleep } = lifeOf(object);
  const recorded = await readRecord(cluster);
  const isNews = object.metadata.generation !== object.status?.observedGeneration;
  if (asleep && recorded?.asleep) return finish(object, cluster, around, true);
  if (isNews)
    await tell([factOfProgress(recorded ? 'Changing' : 'Deploying', 'the plane is being made what this object wants')]);
  if (recorded?.asleep) {
    await tell([factOfProgress('Waking', 'the plane is being woken')]);
    await wakePlane(cluster, work);
  }
  await deploy(cluster, {
    ...work,
    choose: (record) => {
      const spec = specOf(object, record);
      // Another version is the upgrade's, which is watched and has a way back.
      const from = record?.phase === 'available' ? record.spec.kubernetesVersion : undefined;
      return from === undefined ? spec : { ...spec, kubernetesVersion: from };
    },
    allowDataLoss: object.metadata.annotations?.[consentAnnotation] === String(object.metadata.generation),
  });
  await upgradeIfAsked(object, cluster, around);
  if (asleep) {
    await tell([factOfProgress('FallingAsleep', 'the plane is being put to sleep')]);
    await sleepPlane(cluster, work);
  }
  await finish(object, cluster, around, asleep);
}

async function upgradeIfAsked(object: HostedControlPlane, cluster: InfraCluster, around: Surrounding): Promise<void> {
  const { reporter, timeout, signal, tell } = around;
  const record = await readRecord(cluster);
  const { kubernetesVersion: to, allowUntestedVersion } = specOf(object, record);
  if (record === undefined || record.spec.kubernetesVersion === to) return;
  await tell([factOfProgress('Upgrading', `from Kubernetes ${record.spec.kubernetesVersion} to ${to}`)]);
  await upgrade(cluster, {
    to,
    allowUntested: allowUntestedVersion,
    observe: 10_000,
    decide(plan) {
      const [problem] = [...plan.problems, ...removedApiProblems(plan)];
      if (problem) throw new UserError({ ...problem, kind: 'refused' });
      return undefined;
    },
    reporter,
    timeout,
    signal,
  });
}

/** Who owns what follows the deletion policy; the status tells the rest. */
async function finish(
  object: HostedControlPlane,
  cluster: InfraCluster,
  { tell }: Surrounding,
  asleep: boolean,
): Promise<void> {
  const { record, addresses, spec } = await openPlane(cluster);
  await setOwner(cluster, record.planeId);
  await tell(factsOfSuccess(asleep), {
    observedGeneration: object.metadata.generation,
    planeId: record.planeId,
    version: spec.kubernetesVersion,
    server: addresses.publicServer,
    workerServer: addresses.workerServer,
  });
}

/** @throws UserError `namespace-not-allowed` */
async function refuseWithoutRights(cluster: InfraCluster): Promise<void> {
  const { verbs, none } = await missingRights(cluster, requiredRights);
  if (verbs.length === 0) return;
  throw new UserError({
    what: `the operator may not work in namespace "${cluster.namespace}"`,
    why: `it works there as ${accountOf(cluster.namespace)}, which ${none ? 'has no rights there' : `may not ${verbs.slice(0, 5).join(', ')}`}`,
    fix: words`an administrator of the infra cluster allows it with ${command('operator allow', cluster.namespace)}`,
    anchor: 'namespace-not-allowed',
    kind: 'refused',
  });
}

/** Whether the hosted API answers; undefined where there is none to ask, or the namespace may not be entered. */
async function answers(cluster: InfraCluster): Promise<boolean | undefined> {
  try {
    const { record, connect } = await openPlane(cluster);
    if (record.asleep) return false;
    const hosted = await connect();
    try {
      await hosted.transport.request({ method: 'GET', path: '/readyz', text: true, timeout: 3000, retries: 0 });
      return true;
    } finally {
      await hosted.close();
    }
  } catch {
    return false;
  }
}
