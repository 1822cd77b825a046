/** Milliseconds in which looks are counted. */
const span = 60_000;

/** Looks within that span after which the next one waits. */
const many = 6;

/**
 * When planes were looked at, by namespace and not by object: whoever changes an object all the time, or deletes it and makes it again, has
 * no more of the workers than others.
 */
export class Looks {
  readonly #at = new Map<string, number[]>();

  /** A look begins. */
  begin(key: string, now = performance.now()): void {
    for (const [each, looks] of this.#at) if (now - looks.at(-1)! >= span) this.#at.delete(each);
    this.#at.set(key, [...this.#recent(key, now), now]);
  }

  /** Whether there were so many lately that the next one has time. */
  isHurried(key: string, now = performance.now()): boolean {
    return this.#recent(key, now).length >= many;
  }

  #recent(key: string, now: number): number[] {
    return (this.#at.get(key) ?? []).filter((at) => now - at < span);
  }
}
