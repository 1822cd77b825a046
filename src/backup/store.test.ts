import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { chooseBackup } from './store.ts';

const kept = (...names: string[]) => names.map((name) => ({ name, size: 1 }));
const [first, second, other] = [
  'demo-1-20261128T190000Z.backup',
  'demo-1-20261128T200000Z.backup',
  'demo-2-20261128T210000Z.backup',
];

test('the newest, or the one that was named', () => {
  expect(chooseBackup('the volume', kept(first, second), undefined).name).toBe(second);
  expect(chooseBackup('the volume', kept(first, second), first).name).toBe(first);
  expect(() => chooseBackup('the volume', [], undefined)).toThrow(refused('no-backups', 'the volume'));
  expect(() => chooseBackup('the volume', kept(first), second)).toThrow(refused('no-backups', `"${second}"`));
});

test('the newest of several planes is asked for by its name', () => {
  expect(() => chooseBackup('s3://backups', kept(first, other), undefined)).toThrow(refused('no-backups', '--name'));
  expect(chooseBackup('s3://backups', kept(first, other), other).name).toBe(other);
});
