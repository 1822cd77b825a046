import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A clock that stands in for performance.now() while a tape is played: real time, and on top of it what the tape leaves out,
 * so that 20 seconds pass in as long as k8sk8s works.
 */
export class TapeClock {
  readonly #real = performance.now.bind(performance);
  readonly #begun = performance.now();
  #skew = 0;

  readonly now = (): number => this.#real() + this.#skew;

  /** Real milliseconds. */
  get real(): number {
    return this.#real();
  }

  /** Not before `at` milliseconds after the beginning. */
  to(at: number): void {
    this.#skew = Math.max(this.#skew, at - (this.#real() - this.#begun));
  }

  /** Gives whoever reads what came last a moment of real time, and is then at `at`. */
  async wait(at: number): Promise<void> {
    await sleep(5, undefined, { ref: false });
    this.to(at);
  }
}
