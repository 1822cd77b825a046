/** What ginkgo prints after each spec. */
export interface Told {
  outcome: 'passed' | 'failed';
  name: string;
}

/**
 * Reads what `ginkgo -v` prints, line by line. A spec ends with `• [9.6 seconds]` or `• [FAILED] [9.6 seconds]`. With several
 * processes, the name follows. With one process, the name stands before the spec's output, and is repeated after it only for a
 * failure. (e2e.test can post its progress to a URL, but at 1.37.2 it posts nothing about specs.)
 *
 * @param names of the specs that run
 * @returns a function that takes a line and returns the result in it
 */
export function progressReader(names: string[]): (line: string) => Told | undefined {
  const known = new Set(names);
  let current: string | undefined;
  let ended: Told['outcome'] | undefined;
  return (line) => {
    const name = line.startsWith('[') ? specOf(line, known) : undefined;
    const outcome = ended;
    ended = outcomeOf(line);
    if (outcome && (name ?? current)) {
      const told = { outcome, name: (name ?? current)! };
      current = undefined;
      return told;
    }
    current = name ?? current;
    return undefined;
  };
}

function outcomeOf(line: string): Told['outcome'] | undefined {
  const match = /^• (?:\[(FAILED|PANICKED!|TIMEDOUT)\] )?\[\d+\.\d+ seconds\]$/.exec(line);
  return match ? (match[1] ? 'failed' : 'passed') : undefined;
}

/** `[sig-apps] Thing [It] works [Conformance] [sig-apps, Conformance]`: which node failed, then the name, then labels. */
function specOf(line: string, known: Set<string>): string | undefined {
  const text = line.replace(/ \[(It|(Just)?(Before|After)Each|DeferCleanup \(Each\))\]/, '');
  for (let end = text.length; end > 0; end = text.lastIndexOf(' [', end - 1)) {
    const name = text.slice(0, end);
    if (known.has(name)) return name;
  }
  return undefined;
}

/** `41 of 433, 2 failed, about 38 min left`. The time is left out until enough specs have ended to estimate it. */
export function progressText(done: number, failed: number, total: number, milliseconds: number): string {
  const left = done < 5 ? '' : `, about ${formatMinutes((milliseconds / done) * (total - done))} left`;
  return `${done} of ${total}${failed > 0 ? `, ${failed} failed` : ''}${left}`;
}

function formatMinutes(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / 60_000);
  return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
