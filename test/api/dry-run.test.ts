import { expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { isOfSameMoment, undisturbed } from '../../src/plane/dry-run.ts';
import { newNamespace } from './world.ts';

// What `diff` and `deploy --dry-run` stand on: a dry run tells on which state of the object it was made.

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
