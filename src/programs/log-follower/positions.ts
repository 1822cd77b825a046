import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** How far the log of a container was taken into the store. */
export interface Position {
  pod: string;
  container: string;
  component: string;
  /** Restarts of the container whose log it is. */
  restarts: number;
  /** Time of the last line that the store has, as fixedTime writes it; absent before the first. */
  time?: string;
  /** How many lines of exactly this time the store has; one when left out. CRI-O gives all lines of one write the same time. */
  same?: number;
  /** When the store took that line, milliseconds. */
  at?: number;
  /** The log ended, and all of it was read. */
  ended: boolean;
}

/** Something that may be missing in the store. */
export interface Loss {
  at: string;
  what: string;
}

export interface Counts {
  lines: number;
  losses: number;
  /** The last few. */
  lately: Loss[];
}

interface State {
  counts: Counts;
  /** When the store last took lines, milliseconds. */
  taken: number;
  positions: Record<string, Position>;
}

const remembered = 10;

/**
 * What is known of the containers' logs. It lies beside the store's data, so that both are kept or lost together: a follower that
 * starts again goes on where the store ends.
 */
export class Positions {
  readonly #file: string;
  readonly #state: State;
  #changed = false;

  constructor(file: string) {
    this.#file = file;
    this.#state = readState(file);
  }

  get counts(): Counts {
    return this.#state.counts;
  }

  get taken(): number {
    return this.#state.taken;
  }

  get(key: string): Position | undefined {
    return this.#state.positions[key];
  }

  all(): [string, Position][] {
    return Object.entries(this.#state.positions);
  }

  set(key: string, position: Position): void {
    this.#state.positions[key] = position;
    this.#changed = true;
  }

  delete(key: string): void {
    delete this.#state.positions[key];
    this.#changed = true;
  }

  /** The store has taken so many lines, and has come so far by them. */
  took(lines: number, positions: [key: string, position: Position][]): void {
    const at = Date.now();
    for (const [key, position] of positions) this.#state.positions[key] = { ...position, at };
    this.#state.counts.lines += lines;
    this.#state.taken = at;
    this.#changed = true;
  }

  lost(loss: Loss): void {
    const { counts } = this.#state;
    counts.losses++;
    counts.lately = [...counts.lately, loss].slice(-remembered);
    this.#changed = true;
  }

  /** A volume that is full or read-only does not end the follower: the store says that itself. */
  save(): void {
    if (!this.#changed) return;
    try {
      writeFileSync(`${this.#file}.new`, JSON.stringify(this.#state));
      renameSync(`${this.#file}.new`, this.#file);
      this.#changed = false;
    } catch (error) {
      console.error(`cannot write ${this.#file}: ${(error as Error).message}`);
    }
  }
}

function readState(file: string): State {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as State;
  } catch {
    return { counts: { lines: 0, losses: 0, lately: [] }, taken: 0, positions: {} };
  }
}
