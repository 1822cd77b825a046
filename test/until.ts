import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../src/base/errors.ts';

/** Tries until `check` throws no longer; then it is true, or its last words are the failure. @param every milliseconds between two tries */
export async function eventually<T>(seconds: number, check: () => T | Promise<T>, every = 250): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(every);
    }
  }
}

interface UntilOptions {
  /** No test is slower for a long patience: a wait ends with what it waits for. */
  seconds?: number;
  /** Milliseconds between two looks. */
  every?: number;
  /** What is told when it was waited for in vain: a log, a state. */
  said?(): string;
}

/** Looks until there is an answer, and returns it; what a look throws is told when there never was one. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { seconds = 45, every = 100, said }: UntilOptions = {},
): Promise<T> {
  const answer = async () => {
    const found = await look();
    if (!found) throw new Error(`waited for ${seconds} s in vain`);
    return found;
  };
  try {
    return await eventually(seconds, answer, every);
  } catch (error) {
    throw said ? new Error(`${messageOf(error)}\n${said()}`, { cause: error }) : error;
  }
}

/** For `expect.poll` and `vi.waitFor`: what a server takes over a moment later, on a box that has much else to do. */
export const soon = { timeout: 45_000, interval: 100 };
