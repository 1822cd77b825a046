import { UserError } from '../../base/errors.ts';
import type { WantedLifetime } from '../../operations/deploy/lifetime.ts';
import { parseDuration } from './connection.ts';

/** RFC 3339, which names a time zone: what a clock on some wall shows is not the same moment everywhere. */
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** --ttl and --expires-at. @throws UserError `bad-values` */
export function parseLifetime({ ttl, expiresAt }: { ttl?: string; expiresAt?: string }, now: Date): WantedLifetime {
  if (ttl !== undefined && expiresAt !== undefined)
    throw bad('--ttl and --expires-at are both given', 'they say the same in two ways; leave one out');
  if (ttl === 'none') return 'endless';
  if (ttl !== undefined) return { at: new Date(now.getTime() + parseDuration(ttl, '--ttl')) };
  if (expiresAt === undefined) return undefined;
  const at = moment.test(expiresAt) ? new Date(expiresAt) : undefined;
  if (!at || Number.isNaN(at.getTime()))
    throw bad(
      `--expires-at "${expiresAt}" is not a moment`,
      'write date, time and time zone: 2026-12-31T18:00:00Z or 2026-12-31T18:00:00+01:00',
    );
  if (at <= now) throw bad(`--expires-at ${expiresAt} has passed`, 'give a moment to come');
  return { at };
}

function bad(what: string, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}
