import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { lifeAt } from './clock.ts';
import { usedAnnotation } from './names.ts';
import { type HostedControlPlane, kind } from './object.ts';

interface ObjectChange {
  /** Null takes a field out. */
  spec?: { asleep: boolean | null };
  metadata?: { annotations: Record<string, string> };
}

/** What makes the plane of an object sleep. Pure. */
export const sleepChange: ObjectChange = { spec: { asleep: true } };

/**
 * What wakes the plane of an object. Where it sleeps because nobody uses it, it counts as used now, and goes on to sleep as its object
 * says; any other, and one that sleeps by its schedule as well, stays awake until its object says something else. Pure.
 */
export function wakeChange(object: HostedControlPlane, now = new Date()): ObjectChange {
  const { asleep: _, ...spec } = object.spec;
  const isNight = lifeAt({ ...object, spec, status: undefined }, now).asleep;
  if (spec.sleepAfter === undefined || isNight) return { spec: { asleep: false } };
  // The clock of who wakes it may be behind the operator's, which has said when it was found unused.
  const at = Math.max(now.getTime(), Date.parse(object.status?.unusedAt ?? '') || 0);
  const used = `${new Date(at).toISOString().slice(0, 19)}Z`;
  return { spec: { asleep: null }, metadata: { annotations: { [usedAnnotation]: used } } };
}

/** @throws UserError `rights` */
export async function wakeByObject(cluster: InfraCluster, work: Work): Promise<HostedControlPlane> {
  const object = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName).catch((error: unknown) => {
    throw explainCallError(error, `read the HostedControlPlane of namespace "${cluster.namespace}"`);
  });
  return changeByObject(cluster, wakeChange(object!), work);
}

/**
 * Changes the object that a plane follows, and waits until the operator has made the plane so.
 *
 * @throws UserError `rights`, and `object-not-made` with what the object's conditions say
 */
export async function changeByObject(
  cluster: InfraCluster,
  change: ObjectChange,
  work: Work,
): Promise<HostedControlPlane> {
  const asked = await cluster
    .merge<HostedControlPlane>(kind, hostedControlPlaneName, change)
    .catch((error: unknown) => {
      throw explainCallError(error, `change the HostedControlPlane of namespace "${cluster.namespace}"`);
    });
  return untilMade(cluster, asked, { mayBeAsleep: change.spec?.asleep === true }, work);
}

/**
 * Waits until the operator has made the plane what the object says.
 *
 * @param options `mayBeAsleep`: a plane that sleeps as its object says is made, too; `final`: the kind of an error after which another try
 * would end the same way
 * @throws UserError `object-not-made`
 */
export async function untilMade(
  cluster: InfraCluster,
  asked: HostedControlPlane,
  { mayBeAsleep, final }: { mayBeAsleep: boolean; final?: UserError['kind'] },
  { reporter, timeout, signal }: Work,
): Promise<HostedControlPlane> {
  const { generation = 0, uid } = asked.metadata;
  let now: HostedControlPlane | undefined = asked;
  const said = (type: string) => now?.status?.conditions?.find((each) => each.type === type);
  // An annotation is no new generation, so what was said before it may still stand there.
  const isAsleep = () => ['Asleep', 'ChangesWhenAwake'].includes(said('Progressing')?.reason ?? '');
  const isOver = () => said('Progressing')?.status === 'False' && (mayBeAsleep || !isAsleep());
  // Somebody may change it again meanwhile: what was made of a later generation was made of this one too.
  const isPast = (observed = 0) => observed >= generation;
  const isMade = () => isPast(now?.status?.observedGeneration) && isOver();
  return reporter.during(
    'The object is changed; waiting for the operator',
    (phase) =>
      waitFor({
        until: async () => {
          now = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName);
          return now?.metadata.uid === uid && isMade() && now;
        },
        failure: () => {
          if (now?.metadata.uid !== uid) return notMade(cluster, 'somebody deleted the object meanwhile', final);
          const { message, observedGeneration } = said('Progressing') ?? {};
          const refused = isOver() && isPast(observedGeneration) && !isMade();
          return refused ? notMade(cluster, message!, final) : undefined;
        },
        now: () => said('Progressing')?.reason,
        every: 500,
        late: (after) => {
          const message = said('Progressing')?.message;
          return message === undefined
            ? notMade(cluster, `no operator has looked at it within ${after}`, final)
            : notMade(cluster, `not within ${after}; ${message}`);
        },
        phase,
        timeout,
        signal,
      }),
    'The operator has made it so',
  );
}

function notMade({ namespace }: InfraCluster, why: string, kind?: UserError['kind']): UserError {
  return new UserError({
    what: `the operator has not made the plane in namespace "${namespace}" what its object says`,
    why,
    fix: words`see what the object says: kubectl -n ${namespace} describe hcp k8sk8s; ${command('operator status')} shows whether an operator works`,
    anchor: 'object-not-made',
    kind,
  });
}
