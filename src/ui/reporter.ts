import type { Words } from '../base/words.ts';

/**
 * What long-running work tells the person about. deploy, destroy and the sandbox only know this interface; the
 * terminal, plain lines, and silence are three ways to fulfil it. Everything goes to stderr.
 */
export interface Reporter {
  /** A finished fact, kept on the screen: `deployment "etcd" created`. */
  line(text: Words): void;
  /** Something odd that does not stop the work. */
  warn(text: Words): void;
  /** Detail that only --verbose shows. */
  debug(text: string): void;
  /** Starts a live line; replaced by `update`, ended by `done` or `fail`. One at a time. */
  begin(text: string): Phase;
  /**
   * Does `work` under a live line, which ends as failed where `work` throws. One at a time.
   *
   * @param done what the line says at its end, with the time it took; default: `title`
   */
  during<T>(
    title: string,
    work: (phase: Phase) => Promise<T>,
    done?: string | ((result: T) => string | undefined),
  ): Promise<T>;
}

export interface Phase {
  /** What is being waited for right now. */
  update(text: string): void;
  /** Ends the live line and keeps `text` (default: the text it began with) with the time it took. */
  done(text?: string): void;
  /** Ends the live line as failed. */
  fail(text?: string): void;
}

/** Completes a reporter that knows how to begin and end a live line. */
export function completeReporter(parts: Omit<Reporter, 'during'>): Reporter {
  return {
    ...parts,
    async during(title, work, done) {
      const phase = parts.begin(title);
      try {
        const result = await work(phase);
        phase.done(typeof done === 'function' ? done(result) : done);
        return result;
      } catch (error) {
        phase.fail();
        throw error;
      }
    },
  };
}

/** Seconds with one decimal, `4.2 s`, or minutes from 100 s on, `3 min 20 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
