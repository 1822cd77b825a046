import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixedTime } from '../../base/fixed-time.ts';
import { knownLines } from '../../base/known-lines.ts';
import { linesOf } from '../../base/lines.ts';
import { LineParser } from './parse.ts';
import type { Position, Positions } from './positions.ts';
import type { Sender } from './sender.ts';

export interface LogRequest {
  container: string;
  follow: boolean;
  previous?: boolean;
  sinceTime?: string;
}

/** What is asked of the infra cluster. */
export interface LogApi {
  /** A container's log, each line with its time. @throws when there is none, now or any more */
  open(pod: string, request: LogRequest, signal: AbortSignal): Promise<Readable>;
}

/** A container as the watch of the pods has it now. */
export interface SeenContainer {
  pod: string;
  container: string;
  component: string;
  restarts: number;
  running: boolean;
  /** It ran, so there is a log. */
  ran: boolean;
  /** Its pod is gone. */
  gone: boolean;
}

const again = 1000;

/** Takes the log of one container into the store, across its restarts, until its pod is gone. */
export class ContainerLog {
  readonly #key: string;
  readonly #seen: () => SeenContainer;
  readonly #api: LogApi;
  readonly #sender: Sender;
  readonly #positions: Positions;
  readonly #signal: AbortSignal;
  #parser = new LineParser();
  /** As far as lines were handed to the sender: the store may be behind. */
  #at: Position | undefined;
  /** The same, of this session alone. */
  #sent: Position | undefined;
  /** The log came to its end, and no line came since. */
  #over = false;

  constructor(
    key: string,
    seen: () => SeenContainer,
    { api, sender, positions, signal }: { api: LogApi; sender: Sender; positions: Positions; signal: AbortSignal },
  ) {
    this.#key = key;
    this.#seen = seen;
    this.#api = api;
    this.#sender = sender;
    this.#positions = positions;
    this.#signal = signal;
    this.#at = positions.get(key);
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const seen = this.#seen();
      if (this.#isNew(seen)) await this.#takeEarlier(seen);
      const done = this.#at?.ended === true && this.#at.restarts === seen.restarts && !seen.running;
      if (seen.gone) return this.#leave(seen);
      if (seen.ran && !done) await this.#follow(seen);
      await sleep(again, undefined, { signal: this.#signal }).catch(() => undefined);
    }
  }

  /** What was read may still be on its way: until the store has it, the position tells the next session that something was lost. */
  async #leave({ container, pod }: SeenContainer): Promise<void> {
    if (!this.#at?.ended && !this.#over) this.#lose(`the end of the log of ${container}: its pod ${pod} is gone`);
    while (!this.#isStored() && !this.#signal.aborted)
      await sleep(again, undefined, { signal: this.#signal }).catch(() => undefined);
    if (this.#isStored()) this.#positions.delete(this.#key);
  }

  #isStored(): boolean {
    return this.#sent === undefined || isAt(this.#positions.get(this.#key), this.#sent);
  }

  /** The container was started again since. */
  #isNew({ restarts }: SeenContainer): boolean {
    return (this.#at?.restarts ?? 0) < restarts;
  }

  /** The kubelet keeps the log of the container before the last restart, and none before that. */
  async #takeEarlier(seen: SeenContainer): Promise<void> {
    const { pod, container, restarts } = seen;
    const before = this.#at;
    const missed = restarts - 1 - (before?.restarts ?? restarts - 1);
    if (missed > 0) this.#lose(`${missed} whole logs of ${container} in pod ${pod}, which was restarted as often`);
    const rest = before?.restarts === restarts - 1 ? before : undefined;
    if (!rest?.ended && !this.#over) {
      const position = { ...rest, ...positionOf(seen, restarts - 1) };
      await this.#read(position, { container, follow: false, previous: true }).catch((error: Error) => {
        // The next session reads it.
        if (!this.#signal.aborted)
          this.#lose(`the end of the log of ${container} in pod ${pod} before its restart: ${error.message}`);
      });
    }
    this.#at = positionOf(seen, restarts);
    this.#over = false;
    this.#parser = new LineParser();
  }

  async #follow(seen: SeenContainer): Promise<void> {
    const position = this.#at ?? positionOf(seen, seen.restarts);
    try {
      await this.#read(position, { container: seen.container, follow: true });
      this.#over = this.#at !== undefined;
      // It ends with its container, and also where a connection is cut in between.
      await sleep(again, undefined, { signal: this.#signal });
      const now = this.#seen();
      const ended = !now.running || now.gone || now.restarts > position.restarts;
      if (ended && this.#at) this.#note({ ...this.#at, ended: true });
    } catch {
      // Asked for again, from where it broke off.
    }
  }

  async #read(from: Position, request: LogRequest): Promise<void> {
    const sinceTime = from.time?.replace(/\.\d+Z$/, 'Z');
    const { pod } = from;
    const stream = await this.#api.open(pod, { ...request, ...(sinceTime && { sinceTime }) }, this.#signal);
    const isKnown = knownLines(from.time, from.same);
    let first = true;
    try {
      for await (const line of linesOf(stream)) {
        const space = line.indexOf(' ');
        const written = space < 0 ? line : line.slice(0, space);
        // Of a container that was removed the kubelet says in a line of its own that there is no log.
        if (!/^\d{4}-\d\d-\d\dT/.test(written)) continue;
        const time = fixedTime(written);
        // The last line that is known comes again; where it does not, its file is there no more.
        if (first && from.time !== undefined && time > from.time)
          this.#lose(`lines of ${from.container} in pod ${pod} between ${from.time} and ${time}: its file was changed`);
        first = false;
        if (isKnown(time)) continue;
        this.#over = false;
        const same = this.#at?.time === time && this.#at.restarts === from.restarts ? (this.#at.same ?? 1) + 1 : 1;
        this.#at = { ...from, time, same, ended: false };
        const record = this.#record(from, time, space < 0 ? '' : line.slice(space + 1));
        this.#sent = this.#at;
        await this.#sender.push(record, [this.#key, this.#at]);
        if (this.#signal.aborted) return;
      }
    } finally {
      stream.destroy();
    }
  }

  #record({ component, container, pod }: Position, _time: string, line: string): Record<string, string> {
    return { _time, component, container, pod, ...this.#parser.parse(line) };
  }

  /** Nothing is to be sent for it, so what was sent before may still be on its way. */
  #note(position: Position): void {
    this.#at = position;
    const stored = this.#positions.get(this.#key);
    if (isAt(stored, position)) this.#positions.set(this.#key, { ...stored, ...position });
  }

  #lose(what: string): void {
    this.#sender.lose(what, this.#seen().pod);
  }
}

/** Whether the store is exactly so far. */
function isAt(stored: Position | undefined, { restarts, time, same }: Position): boolean {
  return stored?.restarts === restarts && stored.time === time && stored.same === same;
}

function positionOf({ pod, container, component }: SeenContainer, restarts: number): Position {
  return { pod, container, component, restarts, ended: false };
}
