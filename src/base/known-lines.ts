/**
 * Tells of each line that comes whether it was read before. Lines come in the order of the file, whatever its clock did: behind the last
 * one that is known, all are new. CRI-O gives all lines of one write the same time.
 *
 * @param last time of the last line that is known, as fixedTime writes it; none is known where it is left out
 * @param same how many lines of exactly this time are known
 */
export function knownLines(last: string | undefined, same = 1): (time: string) => boolean {
  let left = last === undefined ? 0 : same;
  return (time) => {
    if (left === 0) return false;
    if (time < last!) return true;
    if (time === last) {
      left--;
      return true;
    }
    left = 0;
    return false;
  };
}
