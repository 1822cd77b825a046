import { expect, test } from 'vitest';
import { seededRandom } from './random.ts';
import { Changes, changeNames, planKills, victimNames } from './worker-changes.ts';

const all = { victims: victimNames, changes: changeNames };

test('thirty kills of one seed are the same each time, and have each victim six times and each change in each part', () => {
  const plan = planKills(30, all, seededRandom(19));
  expect(plan).toEqual(planKills(30, all, seededRandom(19)));
  expect(plan).not.toEqual(planKills(30, all, seededRandom(20)));
  for (const name of victimNames) expect(plan.filter(({ victim }) => victim === name)).toHaveLength(6);
  for (let from = 0; from + 4 <= 28; from += 4)
    expect(new Set(plan.slice(from, from + 4).map(({ during }) => during)).size).toBe(4);
});

test('victims and changes that were chosen are the only ones', () => {
  const plan = planKills(7, { victims: ['infra-kubelet'], changes: ['size'] }, seededRandom(1));
  expect(new Set(plan.map(({ victim, during }) => `${victim} ${during}`))).toEqual(new Set(['infra-kubelet size']));
});

test('every change differs from the state before, and the plane is upgraded once', () => {
  const changes = new Changes('k.example.com', '192.0.2.1');
  for (const kind of ['scale', 'upgrade', 'exposure', 'size'] as const) {
    const told = Array.from({ length: 6 }, () => changes.next(kind).name);
    for (const [index, name] of told.slice(1).entries()) expect(name).not.toBe(told[index]);
    if (kind === 'upgrade') expect(told.filter((name) => name.startsWith('upgrade'))).toHaveLength(1);
  }
});
