import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { UserError } from './errors.ts';
import type { InfraCluster } from './kube/cluster.ts';
import { isConflict } from './kube/errors.ts';
import type { Lease } from './kube/objects.ts';
import { anyPlaneSelector, recordName } from './plane/names.ts';
import type { Reporter } from './ui/reporter.ts';

const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const durationSeconds = 15;
const renewEvery = 5000;

export interface Lock {
  /** Fires when another took the lock over: what is under way has to stop. */
  readonly lost: AbortSignal;
  /** Lets go. With `remove`, the Lease itself goes too, as the last thing of a destroyed plane. */
  release(options?: { remove?: boolean }): Promise<void>;
}

/**
 * Takes the Lease that says who is at work on this namespace's plane. A holder that has not renewed it for 15 s is
 * dead and is taken over.
 *
 * @param activity what the holder does, for the other's message: `deploy`
 * @throws UserError `plane-busy` when another live process holds it
 */
export async function acquireLock(cluster: InfraCluster, activity: string, reporter: Reporter): Promise<Lock> {
  const identity = `${activity} by ${userName()}@${hostname()} (process ${process.pid}, ${randomBytes(3).toString('hex')})`;
  let held = await take(cluster, identity, reporter);
  const lost = new AbortController();
  let renewing: Promise<void> | undefined;
  const renew = async () => {
    try {
      held = await cluster.replace(renewed(held, identity));
    } catch (error) {
      if (!isConflict(error)) return;
      const now = await cluster.get<Lease>(kind, recordName).catch(() => undefined);
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
    async release(options = {}) {
      clearInterval(timer);
      await renewing;
      if (lost.signal.aborted) return;
      if (options.remove) await cluster.delete(kind, recordName, held.metadata.uid);
      else await cluster.replace({ ...held, spec: { ...held.spec, holderIdentity: '' } }).catch(() => undefined);
    },
  };
}

async function take(cluster: InfraCluster, identity: string, reporter: Reporter): Promise<Lease> {
  const found = await cluster.get<Lease>(kind, recordName);
  const fresh: Lease = {
    ...kind,
    metadata: {
      name: recordName,
      labels: { 'app.kubernetes.io/part-of': 'k8sk8s', 'app.kubernetes.io/managed-by': 'k8sk8s' },
    },
    spec: {},
  };
  try {
    if (!found) return await cluster.create(renewed(fresh, identity, true));
    if (found.metadata.labels?.['app.kubernetes.io/part-of'] !== 'k8sk8s') {
      throw new UserError({
        what: `a lease "${recordName}" that is not of k8sk8s is in namespace "${cluster.namespace}"`,
        why: `k8sk8s needs a lease of that name to keep two of its runs apart, and its label ${anyPlaneSelector} is missing there`,
        fix: 'delete or rename that lease, or use another namespace',
        anchor: 'foreign-object',
        exitCode: 2,
      });
    }
    const holder = found.spec.holderIdentity;
    const age = Date.now() - Date.parse(found.spec.renewTime ?? '1970-01-01T00:00:00Z');
    if (holder && age < durationSeconds * 1000) throw busy(holder);
    if (holder)
      reporter.debug(`taking the lease over from ${holder}, who was last heard of ${Math.round(age / 1000)} s ago`);
    return await cluster.replace(renewed(found, identity, true));
  } catch (error) {
    if (!isConflict(error)) throw error;
    const now = await cluster.get<Lease>(kind, recordName);
    throw busy(now?.spec.holderIdentity);
  }
}

function renewed(lease: Lease, identity: string, acquired = false): Lease {
  const now = new Date().toISOString().replace('Z', '000Z');
  return {
    ...lease,
    spec: {
      ...lease.spec,
      holderIdentity: identity,
      leaseDurationSeconds: durationSeconds,
      renewTime: now,
      ...(acquired && { acquireTime: now }),
    },
  };
}

function busy(holder: string | undefined): UserError {
  return new UserError({
    what: 'another k8sk8s is at work on this plane',
    why: holder ? `the lease "${recordName}" is held by: ${holder}` : undefined,
    fix: `wait until it has ended and run the command again; a run that was killed is taken over after ${durationSeconds} s`,
    anchor: 'plane-busy',
  });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
