import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { explainCallError, isConflict, isNotFound, isUncertain } from '../kube/errors.ts';
import type { Actor, InfraCluster } from '../kube/infra-cluster.ts';
import type { Lease } from '../kube/objects.ts';
import { anyPlaneSelector, partOf, recordName } from '../plane/names.ts';
import { recordKind } from '../plane/record.ts';
import type { Reporter } from '../ui/reporter.ts';
import { waitAtMost } from '../ui/wait-for.ts';
import { lifeEnded } from './lifetime.ts';

const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const durationSeconds = 15;
const renewEvery = 5000;
/** Milliseconds in which a holder that lives has renewed the lease, whatever its clock says. */
const signOfLife = 1.5 * renewEvery;
/** Annotation of the Lease: what lets another run on the same machine see that the holder has ended. */
const holderProcess = 'k8sk8s.io/holder-process';

export interface Lock {
  /** Fires when another took the lock over: what is under way has to stop. */
  readonly lost: AbortSignal;
  /** Lets go. The Lease itself goes too when the namespace has no plane's record, or has none any more. */
  release(): Promise<void>;
}

/**
 * Takes the Lease that says who is at work on this namespace's plane. A holder that is dead is taken over: at once when it
 * was a process of this machine, else when it has not renewed the lease for 15 s, which is waited for. The last seconds of these are always
 * watched from here, because the time in the lease is of the holder's clock.
 *
 * @param activity what the holder does, for the other's message: `deploy`
 * @param options `ending`: a lease that goes with its plane, whose life has ended, is no reason to stop
 * @throws UserError `plane-busy` when another live process holds it
 */
export async function acquireLock(
  cluster: InfraCluster,
  activity: string,
  reporter: Reporter,
  signal: AbortSignal,
  options: { ending?: 'allowed' } = {},
): Promise<Lock> {
  const identity = `${activity} by ${cluster.actor.name} (${randomBytes(3).toString('hex')})`;
  let held = await take(cluster, identity, reporter, signal).catch((error: unknown) => {
    throw explainCallError(error, `take the lease "${recordName}" of namespace "${cluster.namespace}"`);
  });
  const lost = new AbortController();
  let renewing: Promise<void> | undefined;
  const renew = async () => {
    try {
      held = await cluster.replace(renewed(held, identity, cluster.actor));
    } catch (error) {
      // A lease that goes, goes with a plane whose life has ended.
      if (isNotFound(error) && held.metadata.ownerReferences && !options.ending)
        return lost.abort(lifeEnded(cluster.namespace));
      if (!isConflict(error)) return;
      // An earlier renewal may have arrived although its answer did not.
      const now = await cluster.get<Lease>(kind, recordName).catch(() => held);
      if (now?.spec.holderIdentity === identity) held = now;
      else lost.abort(busy(now?.spec.holderIdentity));
    }
  };
  const timer = setInterval(() => {
    renewing ??= renew().finally(() => {
      renewing = undefined;
    });
  }, renewEvery);
  timer.unref();
  return {
    lost: lost.signal,
    async release() {
      clearInterval(timer);
      await renewing;
      if (lost.signal.aborted) return;
      // What cannot be asked counts as a plane: a Lease that nobody holds is in nobody's way.
      const recorded = await cluster.get(recordKind, recordName).catch(() => held);
      if (!recorded) await cluster.delete(kind, recordName, held.metadata.uid);
      else await letGo(cluster, held, identity);
    },
  };
}

/** Also where something else of the lease was changed since, as its owner. */
async function letGo(cluster: InfraCluster, held: Lease, identity: string): Promise<void> {
  const free = (lease: Lease) => cluster.replace({ ...lease, spec: { ...lease.spec, holderIdentity: '' } });
  try {
    await free(held);
  } catch {
    const now = await cluster.get<Lease>(kind, recordName).catch(() => undefined);
    if (now?.spec.holderIdentity === identity) await free(now).catch(() => undefined);
  }
}

async function take(cluster: InfraCluster, identity: string, reporter: Reporter, signal: AbortSignal): Promise<Lease> {
  for (let attempt = 0; ; attempt++) {
    const found = await cluster.get<Lease>(kind, recordName);
    if (found?.spec.holderIdentity === identity) return found;
    if (found) await untilFree(cluster, found, reporter, signal);
    try {
      return found
        ? await cluster.replace(renewed(found, identity, cluster.actor, true))
        : await cluster.create(renewed(fresh, identity, cluster.actor, true));
    } catch (error) {
      // Another was quicker, or the server acted and its answer was lost: the lease itself tells.
      const again = isConflict(error) || isNotFound(error) || isUncertain(error);
      if (!again || attempt >= 4) throw error;
      if (isUncertain(error)) await sleep(200 * 2 ** attempt, undefined, { signal });
    }
  }
}

const fresh: Lease = {
  ...kind,
  metadata: {
    name: recordName,
    labels: { 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf },
  },
  spec: {},
};

/** Returns once nobody alive holds the lease; only for holders of other machines that takes a while. */
async function untilFree(cluster: InfraCluster, found: Lease, reporter: Reporter, signal: AbortSignal): Promise<void> {
  if (found.metadata.labels?.['app.kubernetes.io/part-of'] !== partOf) throw foreignLease(cluster.namespace);
  const holder = found.spec.holderIdentity;
  if (!holder) return;
  const running = cluster.actor.isRunning?.(found.metadata.annotations?.[holderProcess]);
  if (running) throw busy(holder);
  const gaveBack = running === undefined && (await untilStale(cluster, found, reporter, signal));
  if (!gaveBack)
    reporter.debug(
      `taking the lease over from ${holder}, ${running === false ? 'which has ended' : 'which is silent'}`,
    );
}

/**
 * Clocks that differ only make the wait longer.
 *
 * @returns whether the lease was given back
 * @throws UserError `plane-busy` as soon as the holder renews the lease
 */
async function untilStale(
  cluster: InfraCluster,
  { spec: { holderIdentity: holder, renewTime } }: Lease,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<boolean> {
  const age = Math.max(0, Date.now() - Date.parse(renewTime ?? '1970-01-01T00:00:00Z'));
  const timeout = Math.max(signOfLife, durationSeconds * 1000 - age);
  const gaveBack = async () => {
    const now = await cluster.get<Lease>(kind, recordName);
    if (!now?.spec.holderIdentity) return true;
    if (now.spec.renewTime === renewTime && now.spec.holderIdentity === holder) return false;
    throw busy(now.spec.holderIdentity);
  };
  const given = await reporter.during(
    `The lease "${recordName}" is held by ${holder}: waiting for a sign of life`,
    () => waitAtMost({ until: gaveBack, timeout, signal, every: 500 }),
    (given) =>
      given
        ? 'The lease was given back'
        : `The holder of the lease gave no sign of life for ${Math.round(timeout / 1000)} s`,
  );
  return given === true;
}

function renewed(lease: Lease, identity: string, { process }: Actor, acquired = false): Lease {
  const now = new Date().toISOString().replace('Z', '000Z');
  const { [holderProcess]: _, ...annotations } = lease.metadata.annotations ?? {};
  return {
    ...lease,
    metadata: { ...lease.metadata, annotations: { ...annotations, ...(process && { [holderProcess]: process }) } },
    spec: {
      ...lease.spec,
      holderIdentity: identity,
      leaseDurationSeconds: durationSeconds,
      renewTime: now,
      ...(acquired && { acquireTime: now }),
    },
  };
}

function foreignLease(namespace: string): UserError {
  return new UserError({
    what: `a lease "${recordName}" that is not of k8sk8s is in namespace "${namespace}"`,
    why: `k8sk8s needs a lease of that name to keep two of its runs apart, and its label ${anyPlaneSelector} is missing there`,
    fix: 'delete or rename that lease, or use another namespace',
    anchor: 'foreign-object',
    kind: 'refused',
  });
}

function busy(holder: string | undefined): UserError {
  return new UserError({
    what: 'another k8sk8s is at work on this plane',
    why: holder ? `the lease "${recordName}" is held by: ${holder}` : undefined,
    fix: words`wait until it has ended and ${again}`,
    anchor: 'plane-busy',
  });
}
