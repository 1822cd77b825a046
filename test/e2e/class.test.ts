import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asInfraAdmin, kubectl, Namespace, type Outcome, run, sandboxCommand, succeeded } from './world.ts';

// Students by the commands of docs/classes.md. The teacher is a delegated administrator of the students' namespaces and of nothing else.

let home: Namespace;
/** `npm run test:all` has a third one, who neither sleeps nor leaves. */
const students = process.env.K8SK8S_TEST === 'all' ? ['anna', 'cleo', 'bob'] : ['anna', 'bob'];

beforeAll(async () => {
  home = await Namespace.open('lesson');
  for (const student of students) succeeded(await sandboxCommand(['host', `${student}.class.e2e.test`], home));
  writeRoster(students);
  const { stdout } = succeeded(await lesson('rights', '--export', '--teacher', 'lesson-admin'));
  writeFileSync(path.join(home.cwd, 'rights.yaml'), stdout);
  succeeded(await asInfraAdmin('apply', '-f', path.join(home.cwd, 'rights.yaml')));
});

afterAll(async () => {
  await lesson('end', '--yes');
  await asInfraAdmin('delete', 'namespace', ...students.map((student) => `lesson-${student}`), '--ignore-not-found');
});

function writeRoster(names: string[]): void {
  writeFileSync(
    path.join(home.cwd, 'lesson.csv'),
    `student,title\n${names.map((name) => `${name},${name} X\n`).join('')}`,
  );
}

const lesson = (command: string, ...args: string[]): Promise<Outcome> =>
  home.local('class', command, '-f', 'lesson.csv', ...args);

async function asStudent(student: string, ...args: string[]): Promise<Outcome> {
  return run(kubectl, [`--kubeconfig=lesson/${student}/kubeconfig`, ...args], { env: home.env, cwd: home.cwd });
}

interface Status {
  students: { student: string; state: string; healthy: boolean }[];
}

async function states(): Promise<string[]> {
  const { stdout } = await lesson('status', '--output', 'json');
  return (JSON.parse(stdout) as Status).students.map((each) => `${each.student} ${each.state} ${each.healthy}`);
}

test('every student gets a plane, and run again there is nothing to do', async () => {
  const hosts = ['-h', '{student}.class.e2e.test'];
  const made = JSON.parse(succeeded(await lesson('create', ...hosts, '--output', 'json')).stdout);
  expect(made.students.map(({ created }: { created: number }) => created > 0)).toEqual(students.map(() => true));
  expect(await states()).toEqual(students.map((student) => `${student} available true`));
  const again = JSON.parse(succeeded(await lesson('create', '--output', 'json')).stdout);
  for (const student of again.students) expect(student).toMatchObject({ created: 0, changed: 0 });
});

test('the handout opens the own plane and no other', async () => {
  succeeded(await lesson('handout'));
  expect(readFileSync(path.join(home.cwd, 'lesson/anna/page.html'), 'utf8')).toContain('anna X');
  succeeded(await asStudent('anna', 'create', 'configmap', 'mine'));
  expect((await asStudent('bob', 'get', 'configmap', 'mine')).stderr).toContain('NotFound');
  const others = await asStudent('anna', '--server', 'https://bob.class.e2e.test', 'get', 'namespaces');
  expect(others.code).not.toBe(0);
});

test('one plane is made anew, and one sleeps and wakes, while the others stay', async () => {
  succeeded(await lesson('reset', 'anna', '--yes'));
  expect((await asStudent('anna', 'get', 'configmap', 'mine')).stderr).toContain('NotFound');
  succeeded(await lesson('sleep', 'bob'));
  expect(await states()).toContain('bob asleep true');
  succeeded(await lesson('wake', 'bob'));
  expect(await states()).toEqual(students.map((student) => `${student} available true`));
});

test('who leaves the roster keeps the plane until it is ended by name, and at the end nothing is left', async () => {
  writeRoster(students.filter((student) => student !== 'bob'));
  expect(succeeded(await lesson('create')).stderr).toContain('"bob" is not on the roster any more');
  succeeded(await asStudent('bob', 'get', 'namespaces'));
  succeeded(await lesson('end', 'bob', '--yes'));
  const ended = JSON.parse(succeeded(await lesson('end', '--yes', '--output', 'json')).stdout);
  expect(ended.left).toBe(0);
  expect(existsSync(path.join(home.cwd, 'lesson'))).toBe(false);
  for (const student of students) {
    const kinds = 'all,ingresses,pvc,secrets,configmaps,leases,jobs';
    const ours = ['-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'name'];
    expect(succeeded(await asInfraAdmin('-n', `lesson-${student}`, 'get', kinds, ...ours)).stdout).toBe('');
  }
});
