/** Suffix of the name of every scheduled backup. */
export const backupSuffix = '.backup';

/** A job may run for an hour, so nobody works on an unfinished file or upload that is older than this, in milliseconds. */
export const abandoned = 2 * 3600 * 1000;

/** `20261128T190000Z`. */
function stamp(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, '');
}

/**
 * The beginning of the names of a plane's scheduled backups.
 *
 * @param shared whether other planes, perhaps of other clusters, store theirs in the same location, so that the name of the
 *   namespace does not distinguish them
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

/** Whether scheduledName has made a name from `start`. */
export function isScheduled(name: string, start: string): boolean {
  return name.startsWith(start) && /^\d{8}T\d{6}Z\.backup$/.test(name.slice(start.length));
}

/** Orders names by the time in them, also those of several planes. */
export function byTime(a: string, b: string): number {
  const timeOf = (name: string) => /(\d{8}T\d{6}Z)\.backup$/.exec(name)?.[1] ?? '';
  return timeOf(a).localeCompare(timeOf(b)) || a.localeCompare(b);
}

/** The part of a name before the time: the same for all backups of a plane. */
export function planeOf(name: string): string {
  return name.replace(/-\d{8}T\d{6}Z\.backup$/, '');
}

/** How the job begins to say that it has made no backup. */
export const asleepNow = 'the plane sleeps';
