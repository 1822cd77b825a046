import { Cron } from 'croner';
import { messageOf, UserError } from '../base/errors.ts';
import type { LifeFields } from '../config/hosted-control-plane.ts';
import { usedAnnotation } from './names.ts';
import { type HostedControlPlane, lifeOf } from './object.ts';

/** What the clock makes of a plane at a moment. */
export interface Life {
  /** The plane is to have no pods. */
  asleep: boolean;
  /** Its time is over, and it is to be deleted. */
  ended: boolean;
}

/**
 * What becomes of a plane at a time. `asleep` of the object goes before its schedule, and before what was seen of its use; a plane that is not to
 * go without more ado (`Retain`, `Backup`) is not deleted at its end either, and sleeps from then on. Pure.
 */
export function lifeAt(object: HostedControlPlane, now: Date): Life {
  const { asleep, sleepSchedule, expiresAt, deletionPolicy } = lifeOf(object);
  const isOver = expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime();
  if (isOver) return { asleep: deletionPolicy !== 'Delete', ended: deletionPolicy === 'Delete' };
  const isNightNow = sleepSchedule !== undefined && isNight(sleepSchedule, now);
  return { asleep: asleep ?? (isNightNow || isUnused(object, now)), ended: false };
}

/** Whether it was found unused, and nothing has counted as a use since: neither somebody's word nor a morning of its schedule. */
function isUnused(object: HostedControlPlane, now: Date): boolean {
  const { sleepAfter, sleepSchedule } = lifeOf(object);
  const { unusedAt, lastUsed } = object.status ?? {};
  if (sleepAfter === undefined || !unusedAt) return false;
  const since = [
    timeOf(lastUsed),
    timeOfUsedAnnotation(object),
    sleepSchedule ? lastMorning(sleepSchedule, now) : undefined,
  ];
  return since.every((time) => time === undefined || time < Date.parse(unusedAt));
}

/** When somebody said that the plane is used; undefined where nobody did, or the word is no time. Pure. */
export function timeOfUsedAnnotation({ metadata }: HostedControlPlane): number | undefined {
  return timeOf(metadata.annotations?.[usedAnnotation]);
}

/** Milliseconds of `30m`, `4h` or `2d`. Pure. */
export function parseLength(length: string): number {
  const unit = { m: 60_000, h: 3_600_000, d: 86_400_000 }[length.at(-1) as 'm' | 'h' | 'd'];
  return Number(length.slice(0, -1)) * unit;
}

function timeOf(text: string | null | undefined): number | undefined {
  const time = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** When the clock changes something next; undefined: never. Pure. */
export function nextChange(object: HostedControlPlane, now: Date): Date | undefined {
  const { asleep, sleepSchedule, expiresAt } = lifeOf(object);
  const turns = sleepSchedule && asleep === undefined ? Object.values(nextOf(sleepSchedule, now)) : [];
  const times = [...turns, ...(expiresAt === undefined ? [] : [new Date(expiresAt)])];
  return times.filter((time) => time !== null && time > now).sort((one, other) => +one! - +other!)[0] ?? undefined;
}

type Schedule = NonNullable<LifeFields['sleepSchedule']>;

/** Sleeping and waking take turns, so a plane whose next turn is to wake sleeps. */
function isNight(schedule: Schedule, now: Date): boolean {
  const { sleep, wake } = nextOf(schedule, now);
  if (!wake || !sleep) return false;
  return wake < sleep;
}

/** Null for what never comes, times that are none among it. */
function nextOf(schedule: Schedule, now: Date): { sleep: Date | null; wake: Date | null } {
  try {
    return { sleep: nextAt(schedule.sleep, schedule, now), wake: nextAt(schedule.wake, schedule, now) };
  } catch {
    return { sleep: null, wake: null };
  }
}

/** When its schedule has woken the plane last. */
function lastMorning({ wake, timeZone }: Schedule, now: Date): number | undefined {
  try {
    return new Cron(wake, { timezone: timeZone, paused: true }).previousRuns(1, now)[0]?.getTime();
  } catch {
    return undefined;
  }
}

function nextAt(times: string, { timeZone }: Schedule, now: Date): Date | null {
  return new Cron(times, { timezone: timeZone, paused: true }).nextRun(now);
}

/** The API server of the infra cluster knows the form of times and zones alone. @throws UserError `bad-values` */
export function checkSchedule(object: HostedControlPlane): void {
  const { sleepSchedule: schedule } = lifeOf(object);
  if (!schedule) return;
  try {
    for (const times of [schedule.sleep, schedule.wake]) nextAt(times, schedule, new Date());
  } catch (error) {
    throw new UserError({
      what: 'spec.sleepSchedule cannot be read',
      why: messageOf(error),
      fix: 'give times in the syntax of cron, such as 0 19 * * 1-5, and a time zone such as Europe/Berlin',
      anchor: 'bad-values',
      kind: 'refused',
    });
  }
}
