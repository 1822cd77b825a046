import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { damageAmong, type MemberReport } from './maintenance.ts';

const follower = (revision: number) =>
  ({ role: 'follower', status: { version: '3.6.5', revision, learner: false, size: 1, inUse: 1, quota: 1 } }) as const;
const silent = { role: 'silent' } as const;
const unknown = { role: 'unknown' } as const;

function members(...reports: Pick<MemberReport, 'role' | 'status'>[]) {
  return reports.map((report, number) => ({ name: `etcd-${number}`, ...report }));
}

const judged = (reports: ReturnType<typeof members>, ready: string[], agreed: boolean) =>
  damageAmong('a', reports, new Set(ready), agreed);

test('with a majority, whoever is silent or unknown and not ready is lost', () => {
  expect(judged(members(follower(7), silent, follower(7)), ['etcd-0', 'etcd-2'], true)).toEqual({ lost: ['etcd-1'] });
  expect(judged(members(follower(7), silent, unknown), ['etcd-0', 'etcd-1', 'etcd-2'], true)).toEqual({ lost: [] });
});

test('a cluster of one that others are still to join has a majority', () => {
  expect(judged(members(unknown, follower(7), unknown), ['etcd-1'], true)).toEqual({ lost: ['etcd-0', 'etcd-2'] });
});

test('without a majority, the newest of those that answer is gone on with', () => {
  expect(judged(members(silent, follower(5), follower(9), silent, silent), [], false)).toEqual({
    lost: ['etcd-0', 'etcd-3', 'etcd-4'],
    remains: { survivor: 'etcd-2', revision: 9, lost: ['etcd-0', 'etcd-3', 'etcd-4'] },
  });
});

test('members that could agree are not given up because they do not at the moment', () => {
  expect(() => judged(members(follower(5), follower(9), silent), [], false)).toThrow(refused('etcd-unreachable'));
});

test('a learner has no vote and may lack anything, so nothing is made of it', () => {
  const learner = { role: 'learner', status: { ...follower(7).status, learner: true } } as const;
  expect(() => judged(members(learner, silent, silent), [], false)).toThrow(refused('etcd-majority'));
});
