type Level = 'info' | 'warning';

/** What is said of a plane look by look. What was said in the look before is not said again, so a plane that stays as it is says nothing. */
export class Changes {
  readonly #log: (level: Level, text: string) => void;
  #before = new Set<string>();
  #now = new Set<string>();

  constructor(log: (level: Level, text: string) => void) {
    this.#log = log;
  }

  /** @param what what counts as said: without figures that differ each time */
  say(level: Level, text: string, what = text): void {
    if (!this.#before.has(what) && !this.#now.has(what)) this.#log(level, text);
    this.#now.add(what);
  }

  /** A look begins. */
  next(): void {
    this.#before = this.#now;
    this.#now = new Set();
  }
}
