import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { WorkQueue } from './queue.ts';

/** Runs a queue until `done`. */
async function running(
  queue: WorkQueue,
  workers: number,
  work: (key: string) => Promise<number | undefined>,
  done: () => boolean,
) {
  const end = new AbortController();
  const ended = queue.run(workers, work, end.signal);
  while (!done()) await sleep(5);
  end.abort();
  await ended;
}

test('a key that is asked for often is done once, and again when it was asked for meanwhile', async () => {
  const queue = new WorkQueue();
  const seen: string[] = [];
  for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
  let under = 0;
  await running(
    queue,
    3,
    async (key) => {
      expect(++under).toBeLessThanOrEqual(2);
      seen.push(key);
      if (key === 'a' && seen.filter((each) => each === 'a').length === 1) queue.add('a');
      await sleep(20);
      under--;
      return undefined;
    },
    () => seen.length === 3 && under === 0,
  );
  expect(seen).toEqual(['a', 'b', 'a']);
});

test('no more keys are under way than there are workers', async () => {
  const queue = new WorkQueue();
  for (let key = 0; key < 6; key++) queue.add(`${key}`);
  let [under, most, done] = [0, 0, 0];
  await running(
    queue,
    2,
    async () => {
      most = Math.max(most, ++under);
      await sleep(10);
      under--;
      done++;
      return undefined;
    },
    () => done === 6,
  );
  expect(most).toBe(2);
});

test('a key that failed comes back, and one that is forgotten does not', async () => {
  const queue = new WorkQueue();
  queue.add('fails');
  queue.add('gone');
  const seen: string[] = [];
  await running(
    queue,
    1,
    async (key) => {
      seen.push(key);
      if (key === 'gone') queue.forget('gone');
      throw new Error('not yet');
    },
    () => seen.length === 3,
  );
  expect(seen).toEqual(['fails', 'gone', 'fails']);
});

test('a key that is forgotten while it is under way, and asked for again, waits for the end of what is under way', async () => {
  const queue = new WorkQueue();
  queue.add('a');
  let [under, most, begun] = [0, 0, 0];
  await running(
    queue,
    3,
    async (key) => {
      begun++;
      most = Math.max(most, ++under);
      // Its object is deleted and made again, as often as somebody likes.
      if (begun < 4) {
        queue.forget(key);
        queue.add(key);
      }
      await sleep(20);
      under--;
      return undefined;
    },
    () => begun === 4 && under === 0,
  );
  expect(most).toBe(1);
});

test('what comes of work on a key that was forgotten meanwhile plans nothing', async () => {
  const queue = new WorkQueue();
  queue.add('a');
  const seen: string[] = [];
  await running(
    queue,
    1,
    async (key) => {
      seen.push(key);
      if (key === 'a') {
        queue.forget('a');
        queue.add('b', 50);
        return 1;
      }
      return undefined;
    },
    () => seen.includes('b'),
  );
  expect(seen).toEqual(['a', 'b']);
});
