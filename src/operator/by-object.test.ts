import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { quietReporter } from '../ui/quiet.ts';
import { untilMade, wakeChange } from './by-object.ts';
import { usedAnnotation } from './names.ts';
import type { HostedControlPlane } from './object.ts';

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

const at = 'hostedcontrolplanes/k8sk8s';
const work = () => ({ reporter: quietReporter, timeout: 300, signal: new AbortController().signal });
/** An object that the operator looked at under one generation, and that has another one by now. */
const seen = (generation: number, made: number, looked = made) =>
  ({
    ...hostedControlPlane,
    metadata: { name: 'k8sk8s', generation },
    spec: { host: 'k.example.com' },
    status: {
      observedGeneration: made,
      conditions: [
        {
          type: 'Progressing',
          status: 'False',
          reason: looked === made ? 'UpToDate' : 'BadValues',
          message: 'no such value',
          observedGeneration: looked,
          lastTransitionTime: '2026-11-30T12:00:00Z',
        },
      ],
    },
  }) as HostedControlPlane;

test('a change that the operator has made together with a later one was made', async () => {
  const store = new InfraStore();
  const asked = store.put(at, seen(3, 2)) as HostedControlPlane;
  store.put(at, seen(4, 4));
  const made = await untilMade(store.cluster, asked, { mayBeAsleep: false }, work());
  expect(made.status?.observedGeneration).toBe(4);
});

test('a change that is refused together with a later one was refused, and an object that is gone is not waited for', async () => {
  const store = new InfraStore();
  const asked = store.put(at, seen(3, 2)) as HostedControlPlane;
  store.put(at, seen(4, 2, 4));
  const wait = () => untilMade(store.cluster, asked, { mayBeAsleep: false }, { ...work(), timeout: 30_000 });
  await expect(wait()).rejects.toEqual(refused('object-not-made', 'no such value'));
  store.objects.delete(at);
  await expect(wait()).rejects.toEqual(refused('object-not-made', 'deleted'));
  // Another one of the same name is not what was asked for.
  store.put(at, seen(4, 4));
  await expect(wait()).rejects.toEqual(refused('object-not-made', 'deleted'));
});
