/** Summary of values that were measured several times, milliseconds for example. */
export interface Summary {
  median: number;
  minimum: number;
  maximum: number;
  /** Interquartile range: upper minus lower quartile. */
  noise: number;
}

/** @throws Error when there is no value */
export function summarize(values: number[]): Summary {
  if (values.length === 0) throw new Error('nothing was measured');
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    minimum: sorted[0]!,
    maximum: sorted.at(-1)!,
    noise: quantile(sorted, 0.75) - quantile(sorted, 0.25),
  };
}

/** Interpolates linearly between the two nearest of sorted values. @param part 0.99 for the 99th percentile */
export function quantile(sorted: number[], part: number): number {
  const at = (sorted.length - 1) * part;
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + ((sorted[below + 1] ?? low) - low) * (at - below);
}

export interface Difference {
  before: number;
  now: number;
  /** now / before. */
  ratio: number;
  /** Half of the sum of both interquartile ranges: a smaller difference of the medians is noise. */
  noise: number;
  verdict: 'faster' | 'slower' | 'within the noise';
}

/** Compares two runs of one measurement; smaller values are better. Pure. */
export function compare(before: Summary, now: Summary): Difference {
  const noise = (before.noise + now.noise) / 2;
  const change = now.median - before.median;
  return {
    before: before.median,
    now: now.median,
    ratio: now.median / before.median,
    noise,
    verdict: Math.abs(change) <= noise ? 'within the noise' : change < 0 ? 'faster' : 'slower',
  };
}

/** A copy in random order, so that no item always comes first. */
export function shuffled<T>(items: T[], random: () => number = Math.random): T[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}
