/** Ends the name of every backup that a schedule makes. */
export const backupSuffix = '.backup';

/** `20261128T190000Z`. */
function stamp(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, '');
}

/**
 * What the names of a plane's scheduled backups begin with.
 *
 * @param shared whether other planes, of other clusters even, keep theirs at the same place: the name of a namespace
 *   does not tell them apart
 */
export function scheduledStart(namespace: string, planeId: string, shared: boolean): string {
  return shared ? `${namespace}-${planeId.replace(/^plane-/, '')}-` : `${namespace}-`;
}

/** `demo-20261128T190000Z.backup`, `demo-1f2e3d4c5b-20261128T190000Z.backup`. */
export function scheduledName(start: string, time: Date): string {
  return `${start}${stamp(time)}${backupSuffix}`;
}

/** `team-before-restore-20261125T080500Z.backup`. */
export function backupName(namespace: string, why: string): string {
  return `${namespace}-${why}-${stamp(new Date())}${backupSuffix}`;
}

/** Whether a name is one that scheduledName makes of `start`. */
export function isScheduled(name: string, start: string): boolean {
  return name.startsWith(start) && /^\d{8}T\d{6}Z\.backup$/.test(name.slice(start.length));
}

/** Orders names by the time in them, those of several planes too. */
export function byTime(a: string, b: string): number {
  const timeOf = (name: string) => /(\d{8}T\d{6}Z)\.backup$/.exec(name)?.[1] ?? '';
  return timeOf(a).localeCompare(timeOf(b)) || a.localeCompare(b);
}

/** What is before the time in a name: the same for all of a plane's. */
export function planeOf(name: string): string {
  return name.replace(/-\d{8}T\d{6}Z\.backup$/, '');
}
