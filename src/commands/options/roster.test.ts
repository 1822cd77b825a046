import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { proposed, readRoster } from './roster.ts';

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

test('what a spreadsheet adds is left out: lines of separators, cells behind the last column, tabs, short lines', () => {
  const students = roster('student\ttitle\tuser\t\nanna\tMüller, Anna\t\t\n\t\t\t\nbob\n');
  expect(students.map(({ name, title }) => [name, title])).toEqual([
    ['anna', 'Müller, Anna'],
    ['bob', undefined],
  ]);
});

test('names of figures alone are students, and nobody has to know hosts but class create', () => {
  const file = path.join(folder, 'figures.yaml');
  writeFileSync(file, '- 1001\n- 1002\n');
  expect(readRoster(file, { namespace: 'c-{student}' })).toMatchObject([
    { name: '1001', host: '' },
    { name: '1002', host: '' },
  ]);
});

test('names as people write them get a proposal', () => {
  expect(['Anna Müller', 'José Ñu', 'D’Arcy', 'ŁUKASZ_B', '山田'].map(proposed)).toEqual([
    'anna-mueller',
    'jose-nu',
    'darcy',
    'lukasz-b',
    '',
  ]);
});

test('every line that cannot be used is told at once', () => {
  const text = `student\nAnna Müller\nbob\n${'x'.repeat(70)}\nbob\n${'y'.repeat(60)}\n`;
  expect(() => roster(text)).toThrow(
    refused(
      'bad-file',
      '4 lines',
      'line 2',
      'anna-mueller',
      'line 4',
      '70 characters',
      'line 5',
      'line 6',
      '66 characters',
    ),
  );
});

test.each([
  ['student\nAnna\n', 'line 2'],
  ['student\nanna\nbob\nanna\n', 'line 4'],
  ['name\nanna\n', 'its first line is "name"'],
  ['studnet,title\nanna,Anna\n', 'did you mean "studnet"'],
  ['anna\nbob\n', 'its first line is "anna"'],
  ['student,email\nanna,a@example.com\n', 'column "email"'],
  ['student,student\nanna,b\n', 'twice'],
  ['student,title\nanna,Müller, Anna\n', 'line 2'],
  ['student,title\nanna;Anna\n', 'line 2: the cells are separated by ";"'],
  ['student,title\nanna,"Anna\nbob,Bob\n', 'quote'],
  ['student,title\nanna,An"na"\nbob,"B"ob\n', 'quote'],
  ['student\n', 'no students'],
  ['', 'no students'],
  ['\n\n', 'no students'],
  ['student,namespace\nanna,x\nbob,x\n', 'namespace "x"'],
  ['student,namespace\nanna,kube-system\n', "Kubernetes' own"],
  ['student,host\nanna,Anna Host\n', 'host "Anna Host"'],
])('%j is refused', (text, named) => {
  expect(() => roster(text)).toThrow(refused('bad-file', named));
});

test.each([
  [Buffer.from('\uFEFFstudent\nanna\n', 'utf16le'), 'UTF-16'],
  [Buffer.from('student,title\nanna,M\xfcller\n', 'latin1'), 'line 2'],
  [Buffer.from('PK\x03\x04\x00'), 'xlsx'],
])('%s, which is no UTF-8, is refused', (bytes, named) => {
  const file = path.join(folder, 'bytes.csv');
  writeFileSync(file, bytes);
  expect(() => readRoster(file, patterns)).toThrow(refused('bad-file', named));
});

test.each([
  ['students:\n  anna: x\n', 'no list'],
  ['students:\n- student: anna\n  tilte: x\n', '"tilte"'],
  ['students:\n- [anna]\n', 'student 1'],
  ['students:\n- title: x\n', '"student" is missing'],
  ['students:\n- student: 12\n', 'text'],
])('%j in YAML is refused', (text, named) => {
  expect(() => roster(text, 'r.yaml')).toThrow(refused('bad-file', named));
});
