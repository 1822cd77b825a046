/** One step of an operation that is a list of steps. */
export interface Step<State> {
  name: string;
  /** Where it says no, the step is left out. Default: always. */
  applies?(state: State): boolean;
  run(state: State): Promise<void>;
}

/** When a step ran: milliseconds as performance.now() counts them, from the start of the process. */
export interface StepTime {
  name: string;
  from: number;
  to: number;
}

/**
 * Runs the steps that apply, one after the other, and stops between two of them when the signal fires.
 *
 * @param times takes the time of each step, also of the one that failed
 */
export async function runSteps<State>(
  steps: Step<State>[],
  state: State,
  signal: AbortSignal,
  times: StepTime[] = [],
): Promise<void> {
  for (const step of steps) {
    signal.throwIfAborted();
    if (step.applies && !step.applies(state)) continue;
    const from = performance.now();
    try {
      await step.run(state);
    } finally {
      times.push({ name: step.name, from, to: performance.now() });
    }
  }
}
