import { printable } from '../ui/printable.ts';

/** Lines a minute: who asks for ever new things is not to fill the log. */
const linesAMinute = 120;

/**
 * A log for what tenants can cause: the same words once a minute, no more than a number of lines in a minute, and nothing in
 * them that a terminal would obey.
 */
export function createBoundedLog(write: (line: string) => void, now: () => number = () => performance.now()) {
  let began = Number.NEGATIVE_INFINITY;
  let said = new Set<string>();
  let left = 0;
  return (words: string): void => {
    if (now() - began >= 60_000) {
      if (left > 0) write(`${left} more lines in that minute were left out`);
      [began, said, left] = [now(), new Set(), 0];
    }
    if (said.has(words)) return;
    if (said.size >= linesAMinute) {
      left++;
      return;
    }
    said.add(words);
    write(printable(words));
  };
}
