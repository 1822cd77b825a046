import { expect, test } from 'vitest';
import { listenToProgress, progressText, readTold, type Told } from './progress.ts';

test('what the suite posts after a spec arrives, and nothing else', async () => {
  const told: Told[] = [];
  const listener = await listenToProgress((each) => told.push(each));
  const post = (msg: string) =>
    fetch(listener.url, {
      method: 'POST',
      body: JSON.stringify({ msg, total: 2, completed: 1, skipped: 7000, failed: 0 }),
    });
  await post('Test Suite starting');
  await post('PASSED [sig-apps] one [Conformance]');
  await post('FAILED [sig-apps] two [Conformance]');
  await fetch(listener.url, { method: 'POST', body: 'not JSON' });
  await listener.close();
  expect(told).toEqual([
    { outcome: 'passed', name: '[sig-apps] one [Conformance]' },
    { outcome: 'failed', name: '[sig-apps] two [Conformance]' },
  ]);
  expect(readTold('{}')).toBeUndefined();
});

test('time left is told once there is something to go by', () => {
  expect(progressText(2, 0, 433, 60_000)).toBe('2 of 433');
  expect(progressText(100, 3, 400, 600_000)).toBe('100 of 400, 3 failed, about 30 min left');
  expect(progressText(10, 0, 1000, 600_000)).toBe('10 of 1000, about 16.5 h left');
});
