import { setTimeout as sleep } from 'node:timers/promises';
import type { Position, Positions } from './positions.ts';
import { LinesRefused, type Store, StoreRefuses } from './store.ts';

/** Characters of lines that wait for the store. Beyond that nothing more is read: the lines stay in the infra node's files. */
const room = 2 << 20;
/** Characters of one request. */
const batchSize = 512 << 10;
/** Milliseconds that lines are gathered. */
const gathering = 300;

interface Waiting {
  line: string;
  /** How far its log is in the store then; absent for a line of none. */
  position?: [key: string, position: Position];
}

/** Brings lines into the store, in order, and notes how far it has come once the store has taken them. */
export class Sender {
  readonly #store: Store;
  readonly #positions: Positions;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];
  #size = 0;
  #wake: (() => void)[] = [];
  /** Why the store takes nothing now; absent while it does. */
  refusal?: string;
  /** The store was sent lines, and gave no answer: it may have them. */
  unanswered = false;

  constructor(store: Store, positions: Positions, signal: AbortSignal) {
    this.#store = store;
    this.#positions = positions;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wakeAll(), { once: true });
  }

  get idle(): boolean {
    return this.#size === 0;
  }

  /** Resolves when there is room for more: whoever reads a log reads no further until then. */
  async push(fields: Record<string, string>, position?: [key: string, position: Position]): Promise<void> {
    const line = JSON.stringify(fields);
    this.#waiting.push({ line, position });
    this.#size += line.length;
    while (this.#size > room && !this.#signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
  }

  /** Until `signal` fires. @throws what the connection throws when the store is gone: what waits here is read again then */
  async run(): Promise<void> {
    let pause = 500;
    while (!this.#signal.aborted) {
      const batch = this.#take();
      if (batch.length === 0) {
        await sleep(gathering, undefined, { signal: this.#signal }).catch(() => undefined);
        continue;
      }
      try {
        await this.#store.insert(batch.map(({ line }) => `${line}\n`).join(''));
        this.refusal = undefined;
        pause = 500;
      } catch (error) {
        if (error instanceof LinesRefused) this.#refused(batch, error);
        else if (error instanceof StoreRefuses) {
          this.refusal = error.message;
          await sleep(pause, undefined, { signal: this.#signal }).catch(() => undefined);
          pause = Math.min(10_000, pause * 2);
          continue;
        } else {
          this.unanswered = true;
          throw error;
        }
      }
      this.#done(batch);
    }
  }

  /** Counts what may be missing, and tells it among the lines too. @param pod whose log it is of, where it is one */
  lose(what: string, pod?: string): void {
    const at = new Date().toISOString();
    this.#positions.lost({ at, what });
    console.log(`may be missing: ${what}`);
    void this.push({
      _time: at,
      _msg: `may be missing: ${what}`,
      component: 'log-store',
      container: 'log-follower',
      ...(pod !== undefined && { pod }),
      level: 'warn',
      type: 'loss',
    });
  }

  /** The first lines that wait, which go on waiting until the store has them. */
  #take(): Waiting[] {
    let size = 0;
    const end = this.#waiting.findIndex(({ line }) => {
      size += line.length;
      return size > batchSize;
    });
    return this.#waiting.slice(0, end < 0 ? undefined : Math.max(1, end));
  }

  #refused(batch: Waiting[], { message }: Error): void {
    // What tells of a loss is of no log: a store that refuses that too would be told for ever.
    const lines = batch.filter(({ position }) => position !== undefined);
    if (lines.length > 0) this.lose(`${lines.length} lines that the store does not take: ${message.slice(0, 200)}`);
  }

  #done(batch: Waiting[]): void {
    this.#waiting = this.#waiting.slice(batch.length);
    for (const { line } of batch) this.#size -= line.length;
    this.#positions.took(
      batch.length,
      batch.flatMap(({ position }) => (position ? [position] : [])),
    );
    this.#positions.save();
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
