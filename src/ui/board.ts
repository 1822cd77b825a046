import type { Ora } from 'ora';
import type { Words } from '../base/words.ts';
import { printable } from './printable.ts';
import { completeReporter, formatDuration, type Reporter } from './reporter.ts';
import { table } from './table.ts';
import { inTerminal } from './words.ts';

interface Row {
  state: string;
  detail: string;
  since: number;
}

export interface BoardOptions {
  /** What a row is about: `STUDENT`. */
  title: string;
  rows: string[];
  quiet?: boolean;
  stream?: NodeJS.WriteStream;
}

/**
 * The state of many things that are worked on at once: a table that is written anew on a terminal, a line for each change of a
 * state elsewhere. Everything goes to stderr.
 */
export class LiveBoard {
  readonly #options: BoardOptions;
  readonly #stream: NodeJS.WriteStream;
  readonly #rows: Map<string, Row>;
  readonly #started = performance.now();
  #spinner: Ora | undefined;
  #ended = false;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#stream = options.stream ?? process.stderr;
    this.#rows = new Map(options.rows.map((name) => [name, { state: '', detail: '', since: performance.now() }]));
    if (this.#stream.isTTY && !options.quiet)
      void import('ora').then(({ default: ora }) => {
        if (!this.#ended) this.#spinner = ora({ text: this.text(), stream: this.#stream, discardStdin: false }).start();
      });
  }

  tell(name: string, state: string, detail: Words = ''): void {
    const before = this.#rows.get(name);
    const row = { state, detail: printable(inTerminal(detail)), since: performance.now() };
    this.#rows.set(name, before?.state === state ? { ...row, since: before.since } : row);
    if (this.#spinner) this.#spinner.text = this.text();
    else if (!this.#options.quiet && before?.state !== state && state !== 'queued')
      this.#stream.write(`${name}: ${state}${row.detail === '' ? '' : `: ${row.detail}`}\n`);
  }

  /** Of the work on one row: what it waits for stands in the row, and warnings below the board. */
  reporterOf(name: string, state: string): Reporter {
    return completeReporter({
      line: () => undefined,
      debug: () => undefined,
      warn: (text) => {
        this.#spinner?.clear();
        this.#stream.write(`WARNING ${name}: ${printable(inTerminal(text))}\n`);
        this.#spinner?.render();
      },
      begin: (title) => {
        this.tell(name, state, title);
        return {
          update: (now) => this.tell(name, state, `${title}: ${now}`),
          done: (last) => this.tell(name, state, last ?? title),
          fail: () => undefined,
        };
      },
    });
  }

  /** How many rows are in each state, and all of them. */
  text(): string {
    const counts = new Map<string, number>();
    for (const { state } of this.#rows.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    const head = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
    const width = Math.max(40, (this.#stream.columns ?? 120) - 1);
    const rows = [...this.#rows].map(([name, { state, detail, since }]) => [
      name,
      state,
      formatDuration(performance.now() - since),
      detail,
    ]);
    const lines = table([this.#options.title, 'STATE', 'FOR', ''], rows).split('\n');
    return [`${head} (${formatDuration(performance.now() - this.#started)})`, ...lines]
      .map((line) => line.slice(0, width))
      .join('\n');
  }

  /** The board stays as it is now. */
  end(): void {
    this.#ended = true;
    const last = this.#spinner && this.text();
    this.#spinner?.stop();
    this.#spinner = undefined;
    if (last !== undefined) this.#stream.write(`${last}\n`);
  }
}
