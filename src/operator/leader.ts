import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { abortable } from '../kube/abortable.ts';
import { isConflict } from '../kube/errors.ts';
import type { Lease } from '../kube/objects.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { operatorName } from './names.ts';
import type { Setbacks } from './setbacks.ts';

const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

/** As client-go's leader election has them, in milliseconds. */
interface Pace {
  /** A holder that has not renewed for so long is no leader any more. */
  lease: number;
  /** A leader that could not renew for so long ends itself, before another one begins. */
  deadline: number;
  retry: number;
}

const usual: Pace = { lease: 15_000, deadline: 10_000, retry: 2000 };

/** Milliseconds between two tries to take the Lease at most, once many have failed. */
const longestPause = 30_000;

interface Candidate {
  namespace: string;
  identity: string;
  signal: AbortSignal;
  pace?: Pace;
  /** Told of what fails before this process leads, which is tried again. */
  setbacks: Setbacks;
  /** Called when the Lease was read for the first time. */
  onSeen?: () => void;
}

/**
 * Waits until this process leads, and runs `run` as long as it does. Of several operators one works; the Lease is made when the
 * operator is installed, and waited for until then.
 *
 * @param run ends soon after its signal has fired
 * @throws UserError `leadership-lost` when another took over or the Lease could not be renewed
 */
export async function whileLeading(
  cluster: WholeCluster,
  { pace = usual, ...options }: Candidate,
  run: (leading: AbortSignal) => Promise<void>,
): Promise<void> {
  const { namespace, identity, signal } = options;
  let held = await acquired(cluster, { ...options, pace });
  const lost = new AbortController();
  const ended = new AbortController();
  const stop = AbortSignal.any([ended.signal, lost.signal]);
  let why = 'nothing came back';
  let deadline: NodeJS.Timeout | undefined;
  // A timer of its own: where nobody answers, a request takes longer than the Lease lasts.
  const keptAt = (moment: number) => {
    clearTimeout(deadline);
    deadline = setTimeout(() => lost.abort(leadershipLost(why)), moment + pace.deadline - performance.now());
  };
  keptAt(performance.now());
  const renewing = (async () => {
    for (;;) {
      await sleep(pace.retry, undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) return;
      const sent = performance.now();
      try {
        held = await cluster.replace(taken(held, identity, pace), {
          ...hurried(pace),
          signal: lost.signal,
          retries: 0,
        });
        keptAt(sent);
      } catch (error) {
        why = messageOf(error);
        const now = isConflict(error)
          ? await abortable(cluster.get<Lease>(kind, operatorName, namespace), lost.signal).catch(() => held)
          : held;
        if (now && now.spec.holderIdentity === identity) held = now;
        else lost.abort(leadershipLost(`it is held by ${now?.spec.holderIdentity ?? 'nobody'}`));
      }
    }
  })();
  try {
    await run(AbortSignal.any([signal, lost.signal]));
    lost.signal.throwIfAborted();
  } finally {
    ended.abort();
    await renewing;
    clearTimeout(deadline);
    // Another one need not wait.
    if (!lost.signal.aborted) await cluster.replace(taken(held, '', pace), hurried(pace)).catch(() => undefined);
  }
}

/**
 * A write of the Lease is answered so soon, or counts as not answered: then the deadline, which begins with the answer at the latest, is over
 * before the Lease is.
 */
const hurried = ({ lease, deadline }: Pace) => ({ timeout: lease - deadline });

async function acquired(
  cluster: WholeCluster,
  { namespace, identity, pace, signal, setbacks, onSeen }: Candidate & { pace: Pace },
): Promise<Lease> {
  // Another machine's clock is not asked: a holder is gone once its Lease has not changed here for as long as it lasts.
  let seen: { version: string | undefined; at: number } | undefined;
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      const lease = await cluster.get<Lease>(kind, operatorName, namespace);
      if (!lease) throw notInstalled;
      if (!seen) onSeen?.();
      const version = lease.metadata.resourceVersion;
      if (seen?.version !== version) seen = { version, at: performance.now() };
      const free = !lease.spec.holderIdentity || performance.now() - seen!.at > pace.lease;
      if (free) return await cluster.replace(taken(lease, identity, pace), hurried(pace));
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      // Another one was faster.
      if (!isConflict(error)) {
        failures++;
        setbacks.tell(`take the lease "${operatorName}" of namespace "${namespace}"`, error);
      }
    }
    await sleep(Math.min(longestPause, pace.retry * 2 ** Math.max(0, failures - 1)), undefined, { signal });
  }
}

function taken(lease: Lease, identity: string, pace: Pace): Lease {
  const now = new Date().toISOString().replace('Z', '000Z');
  const changes = lease.spec.holderIdentity !== identity;
  return {
    ...lease,
    spec: {
      ...lease.spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(pace.lease / 1000)),
      renewTime: now,
      ...(changes && identity !== '' && { acquireTime: now, leaseTransitions: (lease.spec.leaseTransitions ?? 0) + 1 }),
    },
  };
}

function leadershipLost(why: string): UserError {
  return new UserError({
    what: `this operator leads no longer`,
    why: `the lease "${operatorName}" could not be kept: ${why}`,
    fix: 'nothing, where the operator runs as a Deployment: its pod starts again. Planes go on running meanwhile',
    anchor: 'leadership-lost',
  });
}

const notInstalled = new UserError({
  what: words`there is none; ${command('operator install')} makes it`,
  anchor: 'operator-not-installed',
});
