import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { UserError } from '../../base/errors.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { demandAll, forEach, type Lesson } from './queue.ts';

const students = ['anna', 'bob', 'cleo', 'dora'].map((name) => ({
  name,
  namespace: `x-${name}`,
  host: `${name}.test`,
}));
const words: string[] = [];

function lesson(signal = new AbortController().signal): Lesson {
  words.length = 0;
  const board = {
    tell: (student: string, state: string) => void words.push(`${student} ${state}`),
    reporterOf: () => quietReporter,
  };
  return { cluster: new InfraStore().cluster, parallel: 2, board, timeout: 1000, signal };
}

const failure = (kind: 'failed' | 'refused') => new UserError({ what: 'no', anchor: 'not-available', kind });

test('two at a time, and what fails comes again after the others', async () => {
  let running = 0;
  let most = 0;
  const tried: string[] = [];
  const outcomes = await forEach(students, lesson(), ['deploying', 'available'], async ({ namespace }, { name }) => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running -= 1;
    tried.push(name);
    if (name === 'anna' && tried.filter((each) => each === 'anna').length < 3) throw failure('failed');
    return namespace;
  });
  expect(most).toBe(2);
  expect(tried.slice(-2)).toEqual(['anna', 'anna']);
  expect(demandAll(outcomes, 'are not there')).toEqual(['x-anna', 'x-bob', 'x-cleo', 'x-dora']);
  expect(words.at(-1)).toBe('anna available');
});

test('what is refused is not tried again, and is told with its student', async () => {
  let count = 0;
  const outcomes = await forEach(students, lesson(), ['deploying', 'available'], async (_, { name }) => {
    if (name !== 'bob') return name;
    count += 1;
    throw failure('refused');
  });
  expect(count).toBe(1);
  expect(() => demandAll(outcomes, 'are not there')).toThrow(refused('class', '1 of 4', 'x-bob'));
});

test('an interruption ends all of it', async () => {
  const stop = new AbortController();
  const run = forEach(students, lesson(stop.signal), ['deploying', 'available'], async () => {
    stop.abort(new Error('interrupted'));
    throw failure('failed');
  });
  await expect(run).rejects.toThrow('interrupted');
});

test('a namespace that was made for another class is left alone', async () => {
  const store = new InfraStore();
  const namespace = (of: string) =>
    store.put('/api/v1/namespaces/team', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'team', labels: { 'k8sk8s.io/class': of } },
    });
  const one = { name: 'b', namespace: 'team', host: 'b.test' };
  const work = async () =>
    demandAll(
      await forEach(
        [one],
        { ...lesson(), cluster: store.cluster, className: 'linux-a' },
        ['a', 'b'],
        async () => 'done',
      ),
      'are not there',
    );
  expect(await work()).toEqual(['done']);
  namespace('linux-a');
  expect(await work()).toEqual(['done']);
  namespace('linux');
  await expect(work()).rejects.toEqual(refused('class', '"linux"', 'team'));
});
