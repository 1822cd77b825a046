import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { forgetStudents, keepSettings, readClass } from './class-options.ts';

/** A folder of a class, in which other folders may be, and its roster. */
function classOf(roster: string) {
  const dir = mkdtempSync(path.join(tmpdir(), 'class-'));
  const file = path.join(dir, 'linux.csv');
  const write = (text: string) => writeFileSync(file, text);
  write(roster);
  return { dir, write, read: (more: object = {}) => readClass({ file, dir, ...more }) };
}

function kubeconfigIn(dir: string, name: string): string {
  mkdirSync(path.join(dir, name));
  writeFileSync(path.join(dir, name, 'kubeconfig'), 'a kubeconfig');
  return path.join(dir, name, 'kubeconfig');
}

test('who has left the roster is found where the plane was made, whatever folders there are besides', async () => {
  const { dir, write, read } = classOf('student,namespace\nanna,\nbob,bobs\ncleo,\n');
  const first = read({ namespace: 'x-{student}' });
  expect([first.former, first.moved, first.isKnown(first.students[0]!)]).toEqual([[], [], false]);
  await keepSettings(dir, { namespace: first.pattern }, first.students);
  const others = kubeconfigIn(dir, 'tls');
  write('student,namespace\nanna,\ncleo,cleos\n');
  const second = read();
  expect(second.former).toEqual([{ name: 'bob', namespace: 'bobs', host: '' }]);
  expect(second.moved).toEqual([{ name: 'cleo', from: 'x-cleo', to: 'cleos' }]);
  expect([second.pattern, second.isKnown(second.students[0]!)]).toEqual(['x-{student}', true]);

  const ofBob = kubeconfigIn(dir, 'bob');
  await forgetStudents(dir, ['bob']);
  expect(existsSync(ofBob)).toBe(false);
  expect(read().former).toEqual([]);
  await forgetStudents(dir, ['anna', 'cleo']);
  expect(existsSync(path.join(dir, 'class.json'))).toBe(false);
  expect(readFileSync(others, 'utf8')).toBe('a kubeconfig');
});

test('two commands of one class at once forget nobody', async () => {
  const { dir, read } = classOf('student\nanna\nbob\ncleo\n');
  const [anna, bob, cleo] = read().students;
  const keep = (...students: Parameters<typeof keepSettings>[2]) =>
    keepSettings(dir, { namespace: 'x-{student}' }, students);
  await keep(anna!, cleo!);
  await Promise.all([keep(bob!), forgetStudents(dir, ['cleo']), keep(anna!)]);
  const known = read();
  expect(known.students.filter((student) => known.isKnown(student)).map(({ name }) => name)).toEqual(['anna', 'bob']);
});
