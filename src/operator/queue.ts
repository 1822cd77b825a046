/** Milliseconds to the next try after the first failure; it doubles with each. */
const firstDelay = 1000;
const longestDelay = 5 * 60_000;

interface Entry {
  /** When it is due, by `performance.now()`; undefined while it is neither due nor planned. */
  due?: number;
  running: boolean;
  /** It was forgotten since its work began, so what comes of that work counts for nothing. */
  forgotten?: boolean;
  failures: number;
}

/**
 * Keys that have something to be done. A key that is asked for many times is done once; while it is being done it waits, and is
 * never done twice at a time. A key whose work fails comes back later and later.
 */
export class WorkQueue {
  readonly #entries = new Map<string, Entry>();
  /** Workers that wait for something to do. */
  readonly #waiting = new Set<() => void>();

  /** Plans a key in `delay` milliseconds at the latest. */
  add(key: string, delay = 0): void {
    const entry = this.#entries.get(key) ?? { running: false, failures: 0 };
    const due = performance.now() + delay;
    entry.due = Math.min(entry.due ?? due, due);
    this.#entries.set(key, entry);
    this.#wake();
  }

  /** How many keys are due and wait for a worker. */
  get due(): number {
    const now = performance.now();
    return [...this.#entries.values()].filter(({ due, running }) => due !== undefined && due <= now && !running).length;
  }

  /** Drops a key and what is known of it. One that is under way is not begun again before its work has ended, whoever asks for it meanwhile. */
  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.running) Object.assign(entry, { due: undefined, failures: 0, forgotten: true });
    else this.#entries.delete(key);
  }

  /**
   * Works on up to `workers` keys at a time until `signal` fires, and waits for those that are under way then.
   *
   * @param work what it throws makes the key come back; its result is in how many milliseconds the key is due again
   */
  async run(workers: number, work: (key: string) => Promise<number | undefined>, signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.#worker(work, signal)));
  }

  async #worker(work: (key: string) => Promise<number | undefined>, signal: AbortSignal): Promise<void> {
    for (;;) {
      const found = await this.#next(signal);
      if (!found) return;
      const [key, entry] = found;
      try {
        const again = await work(key);
        if (!entry.forgotten) entry.failures = 0;
        if (again !== undefined) this.#plan(key, entry, again);
      } catch {
        if (!entry.forgotten) this.#plan(key, entry, Math.min(longestDelay, firstDelay * 2 ** entry.failures++));
      } finally {
        entry.running = false;
        if (entry.forgotten && entry.due === undefined) this.#entries.delete(key);
        this.#wake();
      }
    }
  }

  /** Planes that failed together do not come back together. */
  #plan(key: string, entry: Entry, delay: number): void {
    if (!entry.forgotten) this.add(key, delay * (0.8 + 0.4 * Math.random()));
  }

  /** The key that has been due for the longest time, once there is one. @returns undefined when the signal has fired */
  async #next(signal: AbortSignal): Promise<[string, Entry] | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      const planned = [...this.#entries].filter(([, { due, running }]) => due !== undefined && !running);
      const [first] = planned.sort(([, one], [, other]) => one.due! - other.due!);
      const wait = first ? first[1].due! - performance.now() : undefined;
      if (first && wait! <= 0) {
        // At once: another worker may look in the next moment.
        Object.assign(first[1], { due: undefined, running: true, forgotten: false });
        return first;
      }
      await this.#until(wait, signal);
    }
  }

  /** Until `milliseconds` have passed, something was added, or the signal is there. */
  #until(milliseconds: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = milliseconds === undefined ? undefined : setTimeout(end, Math.ceil(milliseconds));
      signal.addEventListener('abort', end);
      this.#waiting.add(end);
    });
  }

  #wake(): void {
    for (const end of [...this.#waiting]) end();
  }
}
