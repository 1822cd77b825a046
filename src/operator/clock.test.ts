import { describe, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { checkSchedule, lifeAt, nextChange, parseLength } from './clock.ts';
import { usedAnnotation } from './names.ts';
import type { HostedControlPlane } from './object.ts';

const object = (spec: object): HostedControlPlane => ({
  ...hostedControlPlane,
  metadata: { name: 'k8sk8s', namespace: 'team' },
  spec: { host: 'k.example.com', ...spec },
});
const sleepSchedule = { sleep: '0 19 * * 1-5', wake: '0 7 * * 1-5', timeZone: 'Europe/Berlin' };
const at = (time: string) => new Date(time);

// 2026-11-30 is a Monday; Berlin is an hour before UTC.
test.each<[time: string, asleep: boolean, next: string]>([
  ['2026-11-30T05:59:00Z', true, '2026-11-30T06:00:00Z'],
  ['2026-11-30T06:00:00Z', false, '2026-11-30T18:00:00Z'],
  ['2026-11-30T17:59:00Z', false, '2026-11-30T18:00:00Z'],
  ['2026-11-30T18:00:00Z', true, '2026-12-01T06:00:00Z'],
  // The weekend belongs to Friday's night.
  ['2026-12-05T12:00:00Z', true, '2026-12-07T06:00:00Z'],
])('by its schedule, at %s', (time, asleep, next) => {
  const scheduled = object({ sleepSchedule });
  expect(lifeAt(scheduled, at(time))).toEqual({ asleep, ended: false });
  expect(nextChange(scheduled, at(time))).toEqual(at(next));
});

test('what the object says goes before its schedule', () => {
  const night = at('2026-11-30T20:00:00Z');
  expect(lifeAt(object({ sleepSchedule, asleep: false }), night).asleep).toBe(false);
  expect(lifeAt(object({ asleep: true }), night).asleep).toBe(true);
  expect(nextChange(object({ sleepSchedule, asleep: false }), night)).toBeUndefined();
});

test('at its end a plane is deleted, or sleeps where it is to stay', () => {
  const [before, after] = [at('2026-11-30T19:59:59Z'), at('2026-11-30T20:00:00Z')];
  const expiresAt = '2026-11-30T21:00:00+01:00';
  expect(lifeAt(object({ expiresAt }), before)).toEqual({ asleep: false, ended: false });
  expect(lifeAt(object({ expiresAt }), after)).toEqual({ asleep: false, ended: true });
  expect(lifeAt(object({ expiresAt, deletionPolicy: 'Retain' }), after)).toEqual({ asleep: true, ended: false });
  expect(nextChange(object({ expiresAt }), before)).toEqual(after);
  expect(nextChange(object({ expiresAt }), after)).toBeUndefined();
});

test.each([
  { ...sleepSchedule, sleep: '99 19 * * 1-5' },
  { ...sleepSchedule, timeZone: 'Europe/Nowhere' },
])('times that are none are refused, and change nothing: $sleep $timeZone', (schedule) => {
  const wrong = object({ sleepSchedule: schedule });
  expect(() => checkSchedule(wrong)).toThrow(refused('bad-values', 'sleepSchedule'));
  expect(lifeAt(wrong, at('2026-11-30T20:00:00Z')).asleep).toBe(false);
  expect(nextChange(wrong, at('2026-11-30T20:00:00Z'))).toBeUndefined();
});

describe('a plane that sleeps when nobody uses it', () => {
  const now = at('2026-11-30T12:00:00Z');
  const unused = (spec: object, status: object, used?: string): HostedControlPlane => {
    const { metadata, ...rest } = object({ sleepAfter: '4h', ...spec });
    const annotations = used === undefined ? undefined : { [usedAnnotation]: used };
    return { ...rest, metadata: { ...metadata, annotations }, status };
  };
  const asleep = (...plane: Parameters<typeof unused>) => lifeAt(unused(...plane), now).asleep;
  const unusedAt = '2026-11-30T11:00:00Z';

  test('is awake until it was found unused, and asleep from then on', () => {
    expect(asleep({}, {})).toBe(false);
    // Time alone says nothing of what happened in it.
    expect(asleep({}, { lastUsed: '2026-11-01T00:00:00Z' })).toBe(false);
    expect(asleep({}, { unusedAt, lastUsed: '2026-11-30T07:00:00Z' })).toBe(true);
    expect(asleep({ sleepAfter: undefined }, { unusedAt })).toBe(false);
  });

  test('is woken by whoever says that it is used, by use, and by its schedule; and what the object says goes before', () => {
    expect(asleep({}, { unusedAt }, '2026-11-30T11:30:00Z')).toBe(false);
    expect(asleep({}, { unusedAt }, '2026-11-30T10:30:00Z')).toBe(true);
    expect(asleep({}, { unusedAt }, 'now')).toBe(true);
    expect(asleep({}, { unusedAt, lastUsed: '2026-11-30T11:10:00Z' })).toBe(false);
    expect(asleep({ sleepSchedule }, { unusedAt })).toBe(true);
    expect(asleep({ sleepSchedule }, { unusedAt: '2026-11-27T11:00:00Z' })).toBe(false);
    expect(asleep({ asleep: false }, { unusedAt })).toBe(false);
  });

  test('has its length of time in one unit', () => {
    expect([parseLength('30m'), parseLength('4h'), parseLength('2d')]).toEqual([1_800_000, 14_400_000, 172_800_000]);
  });
});
