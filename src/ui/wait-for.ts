import { setMaxListeners } from 'node:events';
import type { Phase } from './reporter.ts';
import type { Patience } from './work.ts';

/** One wait: what for, how long, and what ends it early. */
export interface Wait<T> extends Pick<Patience, 'timeout'>, Partial<Pick<Patience, 'signal'>> {
  /** Asked again and again; any answer but undefined and false is what was waited for. What it throws ends the wait. */
  until(): Promise<T | undefined | false> | T | undefined | false;
  /** Milliseconds between an answer and the next question. */
  every?: number;
  /** The reason, once one is known, for which the wait would be in vain. */
  failure?(): Error | undefined;
  /** The error when the time is over, which says what was waited for. @param after how long: `60 s` */
  late(after: string): unknown;
  /** Where `now` is told. */
  phase?: Phase;
  /** What is being waited for at this moment. */
  now?(): string | undefined;
}

/**
 * Asks until there is an answer. A clock of the machine that is set meanwhile makes the wait neither longer nor shorter.
 *
 * @throws what `failure` gives, what `late` makes once `timeout` has passed, or the signal's reason
 */
export async function waitFor<T>(wait: Wait<T>): Promise<T> {
  const answer = await waitAtMost(wait);
  if (answer === undefined) throw await wait.late(`${Math.round(wait.timeout / 1000)} s`);
  return answer;
}

/** Waits where the time that is over is no error. @returns the answer, or undefined once `timeout` has passed */
export async function waitAtMost<T>(wait: Omit<Wait<T>, 'late'>): Promise<T | undefined> {
  const { timeout, signal, every = 200, phase } = wait;
  const end = performance.now() + timeout;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await wait.until();
    if (answer !== undefined && answer !== false) return answer;
    const failure = wait.failure?.();
    if (failure) throw failure;
    signal?.throwIfAborted();
    const now = wait.now?.();
    if (now !== undefined) phase?.update(now);
    if (performance.now() >= end) return undefined;
    await pause(every, signal);
  }
}

/** Returns after `milliseconds`, or as soon as the signal is there. Many wait for one signal at a time, which is no leak: each takes its listener away. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal) setMaxListeners(0, signal);
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
  });
}
