import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { readRoster } from './roster.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'roster-'));
const patterns = { namespace: 'linux-{student}', host: '{student}.k.example.com' };

function roster(text: string, name = 'roster.csv') {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return readRoster(file, patterns);
}

test('a spreadsheet with title and a column of hosts becomes students', () => {
  expect(roster('\uFEFFStudent;Title;Host\r\nanna;"Anna ""Ann"" Müller";\r\n\r\nbob;;b.example.com\r\n')).toEqual([
    { name: 'anna', title: 'Anna "Ann" Müller', namespace: 'linux-anna', host: 'anna.k.example.com' },
    { name: 'bob', namespace: 'linux-bob', host: 'b.example.com' },
  ]);
});

test('a list of names in YAML is a roster, and lines of it may say more', () => {
  const students = roster('students:\n  - anna\n  - {student: bob, user: bob@example.com, namespace: b}\n', 'r.yaml');
  expect(students.map(({ namespace }) => namespace)).toEqual(['linux-anna', 'b']);
  expect(students[1]!.user).toBe('bob@example.com');
});

test.each([
  ['student\nAnna\n', 'line 2'],
  ['student\nanna\nbob\nanna\n', 'line 4'],
  ['name\nanna\n', 'name'],
  ['student,host\nanna\n', 'line 2'],
  ['student\n', 'no students'],
  ['', 'no students'],
  ['student,namespace\nanna,x\nbob,x\n', 'namespace "x"'],
])('%j is refused', (text, named) => {
  expect(() => roster(text)).toThrow(refused('bad-file', named));
});
