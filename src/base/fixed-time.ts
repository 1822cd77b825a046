/**
 * A time of RFC 3339 in UTC and of one width, so that times compare as text: a kubelet writes them in the time zone of its node, and
 * VictoriaLogs without zeros at the end. Pure.
 */
export function fixedTime(time: string): string {
  const [, seconds, digits = '', zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time) ?? [];
  const at = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(at) ? time : `${new Date(at).toISOString().slice(0, 19)}.${digits.padEnd(9, '0')}Z`;
}
