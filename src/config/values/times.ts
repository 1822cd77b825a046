import * as z from 'zod';
import { matching } from './checked.ts';

/** Five fields in cron's syntax, as a CronJob has them. */
export const cron = z
  .string()
  .regex(
    /^[-0-9A-Za-z*,/?#]+( [-0-9A-Za-z*,/?#]+){4}$/,
    'has to be five fields in the syntax of cron, such as 0 19 * * 1-5',
  );

/** A name of the time zone database. */
export const timeZone = z
  .string()
  .regex(/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+){0,2}$/, 'has to be a time zone, such as Europe/Berlin');

/** How long lines are kept, in VictoriaLogs' own words, who counts nanoseconds: some 292 years are less than nothing. */
export const logsRetention = matching(
  /^([1-9]\d{0,3}d|[1-9]\d{0,2}w|[1-9]\d?y)$/,
  'has to be a number of days, weeks or years, of less than a hundred years: 1d, 2w, 1y',
  5,
);

/** A length of time of at least a minute, in one unit. */
export const length = z
  .string()
  .regex(/^[1-9][0-9]{0,3}[mhd]$/, 'has to be a number of minutes, hours or days: 30m, 4h, 2d');
