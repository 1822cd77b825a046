import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isOfSameMoment, undisturbed } from '../../src/drift/same-moment.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { noteApplied, nothingApplied } from '../../src/live/apply.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { newNamespace } from './world.ts';

// What deploy and diff say of objects that others write to as well, at the same moment.

const object = (color: string) =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared' }, data: { color } }) as KubeObject;

/** A dry run as diff makes it, while somebody else writes between the look and the dry run of the first `disturbed` tries. */
async function tryApply(cluster: InfraCluster, color: string, disturbed: number) {
  await cluster.apply(object('red'));
  let tries = 0;
  const attempt = async () => {
    const before = await cluster.get(object(color), 'shared');
    if (++tries <= disturbed) await cluster.merge(object(color), 'shared', { metadata: { annotations: note(tries) } });
    return { before, after: await cluster.apply(object(color), { dryRun: true }) };
  };
  const last = await undisturbed(attempt, (tried) => isOfSameMoment(tried.before, tried.after));
  return { ...last, tries };
}

const note = (tries: number) => ({ note: `theirs, ${tries}` });

test('what somebody else writes between the look and the dry run is seen before and after, so it is no difference', async () => {
  const { cluster } = await newNamespace();
  const { before, after, tries } = await tryApply(cluster, 'blue', 1);
  expect(tries).toBe(2);
  expect(before?.metadata.annotations).toEqual(note(1));
  expect(after).toMatchObject({ metadata: { annotations: note(1) }, data: { color: 'blue' } });
});

test('an object that never comes to rest is looked at all the same', async () => {
  const { cluster } = await newNamespace();
  const { after, tries } = await tryApply(cluster, 'red', Number.POSITIVE_INFINITY);
  expect(after.metadata.annotations).toEqual(note(tries));
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
