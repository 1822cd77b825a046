import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { noteApplied, nothingApplied } from '../../src/plane/apply.ts';
import { isOfSameMoment, undisturbed } from '../../src/plane/dry-run.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { newNamespace } from './world.ts';

// What deploy and diff say of objects that others write to as well, at the same moment.

const object = (color: string) =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared' }, data: { color } }) as KubeObject;

test('what somebody else writes between the look and the dry run is seen before and after, so it is no difference', async () => {
  const { cluster } = await newNamespace();
  await cluster.apply(object('red'));
  let tries = 0;
  const attempt = async () => {
    const before = await cluster.get(object('red'), 'shared');
    if (++tries === 1) await cluster.merge(object('red'), 'shared', { metadata: { annotations: { note: 'theirs' } } });
    return { before, after: await cluster.apply(object('blue'), { dryRun: true }) };
  };
  const { before, after } = await undisturbed(attempt, (tried) => isOfSameMoment(tried.before, tried.after));
  expect(tries).toBe(2);
  expect(before?.metadata.annotations).toEqual({ note: 'theirs' });
  expect(after).toMatchObject({ metadata: { annotations: { note: 'theirs' } }, data: { color: 'blue' } });
});

test('an object that never comes to rest is looked at all the same', async () => {
  const { cluster } = await newNamespace();
  await cluster.apply(object('red'));
  let writes = 0;
  const attempt = async () => {
    const before = await cluster.get(object('red'), 'shared');
    await cluster.merge(object('red'), 'shared', { metadata: { annotations: { writes: String(++writes) } } });
    return { before, after: await cluster.apply(object('red'), { dryRun: true }) };
  };
  const { after } = await undisturbed(attempt, (tried) => isOfSameMoment(tried.before, tried.after));
  expect(after.metadata.annotations).toEqual({ writes: String(writes) });
});

test('deploy says of an object that it changed it when it did, not when somebody else wrote in between', async () => {
  const { cluster } = await newNamespace();
  const judged = async (color: string, theirs?: object) => {
    const before = await cluster.get(object(color), 'shared');
    if (theirs) await cluster.merge(object(color), 'shared', theirs);
    const applied = nothingApplied();
    noteApplied(applied, before, await cluster.apply(object(color)), quietReporter);
    return Object.entries(applied).flatMap(([verb, names]) => (names.length > 0 ? [verb] : []));
  };
  expect(await judged('red')).toEqual(['created']);
  expect(await judged('red')).toEqual(['unchanged']);
  expect(await judged('red', { metadata: { annotations: { note: 'theirs' } } })).toEqual(['unchanged']);
  // The server notes the time of an apply in seconds.
  await sleep(1100);
  expect(await judged('blue', { metadata: { annotations: { note: 'again' } } })).toEqual(['changed']);
  await cluster.merge(object('blue'), 'shared', { data: { color: 'theirs' } });
  expect(await judged('blue')).toEqual(['changed']);
});
