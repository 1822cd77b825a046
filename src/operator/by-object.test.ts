import { expect, test } from 'vitest';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { wakeChange } from './by-object.ts';
import { usedAnnotation } from './names.ts';

const [day, night] = [new Date('2026-11-30T12:00:00Z'), new Date('2026-11-30T20:00:00Z')];
const sleepSchedule = { sleep: '0 19 * * *', wake: '0 7 * * *', timeZone: 'Etc/UTC' };
const wake = (spec: object, now = day) =>
  wakeChange({ ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec: { host: 'k.example.com', ...spec } }, now);

test('a plane that sleeps because nobody uses it is woken as one that is used, and any other stays awake', () => {
  const used = { spec: { asleep: null }, metadata: { annotations: { [usedAnnotation]: '2026-11-30T12:00:00Z' } } };
  expect(wake({ sleepAfter: '4h' })).toEqual(used);
  expect(wake({ sleepAfter: '4h', asleep: true, sleepSchedule })).toEqual(used);
  // Use is no reason to be awake at night.
  for (const awake of [wake({}), wake({ sleepSchedule }), wake({ sleepAfter: '4h', sleepSchedule }, night)])
    expect(awake).toEqual({ spec: { asleep: false } });

  // By a clock that is behind the operator's it is woken all the same.
  const status = { unusedAt: '2026-11-30T12:03:00Z' };
  const behind = wakeChange(
    { ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec: { sleepAfter: '4h' }, status },
    day,
  );
  expect(behind.metadata?.annotations[usedAnnotation]).toBe('2026-11-30T12:03:00Z');
});
