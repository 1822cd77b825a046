import type { Reporter } from './reporter.ts';

/** How long a step may take. */
export interface Patience {
  /** Milliseconds. */
  timeout: number;
  /** Ends the work at the next safe point. */
  signal: AbortSignal;
}

/** How a command works on a plane that is there; each change of the components may take its `timeout`. */
export interface Work extends Patience {
  reporter: Reporter;
}
