import { expect, test } from 'vitest';
import { Looks } from './looks.ts';

test('of a namespace that was looked at often in a minute the next look has time, and of others it has none', () => {
  const looks = new Looks();
  for (let at = 0; at < 6; at++) {
    expect(looks.isHurried('team', at)).toBe(false);
    looks.begin('team', at);
  }
  expect(looks.isHurried('team', 10)).toBe(true);
  expect(looks.isHurried('other', 10)).toBe(false);
  expect(looks.isHurried('team', 60_000)).toBe(false);
});
