import { expect, test } from 'vitest';
import { plain } from '../../../base/words.ts';
import { logStore } from './log-store.ts';

const status = { name: 'log-store', ready: true, count: '1/1' };
const found = (more: object) => logStore.problem({ ...status, ...more }, 'team');

test('a store that takes lines is no problem, also on a volume that is nearly full', () => {
  expect(found({})).toBeUndefined();
  expect(found({ report: {} })).toBeUndefined();
  expect(found({ report: { full: true } })).toBeUndefined();
});

test('a full volume is told apart from all else, whether the store still runs or has ended, with how to get room', () => {
  const full = found({ report: { full: true, trouble: '429 read-only mode' } });
  expect(full).toMatchObject({ anchor: 'log-store-full', why: expect.stringContaining('429 read-only mode') });
  expect(plain(full!.fix!)).toContain('delete pvc log-store');
  expect(found({ ready: false, problem: 'it ended', report: { full: true } })).toMatchObject({
    anchor: 'log-store-full',
    why: expect.stringContaining('it ended'),
  });
  expect(found({ report: { trouble: 'pods is forbidden' } })).toMatchObject({ anchor: 'log-store-not-ready' });
  expect(found({ ready: false })).toMatchObject({ anchor: 'log-store-not-ready' });
});
