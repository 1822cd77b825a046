import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { installOperator, removeDefinition } from './operator-world.ts';
import { asInfraAdmin, kubectl, Namespace, type Outcome, run, sandboxCommand, succeeded } from './world.ts';

// The class of docs/classes.md whose planes the operator makes. The teacher has what `class rights --export --with-operator` prints.

const students = ['dora', 'emil'];

describe.runIf(runsAllOf('e2e/class-operator'))('a class of the operator', { timeout: 900_000 }, () => {
  let home: Namespace;

  beforeAll(async () => {
    home = await Namespace.open('course');
    for (const student of students) succeeded(await sandboxCommand(['host', `${student}.course.e2e.test`], home));
    await installOperator();
    roster(students);
    const rights = ['--with-operator', '-h', '{student}.course.e2e.test', '--teacher', 'course-admin'];
    const { stdout } = succeeded(await course('rights', '--export', ...rights));
    writeFileSync(path.join(home.cwd, 'rights.yaml'), stdout);
    succeeded(await asInfraAdmin('apply', '-f', path.join(home.cwd, 'rights.yaml')));
  });

  afterAll(async () => {
    await course('end', '--yes');
    await removeDefinition();
    await asInfraAdmin('delete', 'namespace', ...students.map((each) => `course-${each}`), '--ignore-not-found');
  });

  const roster = (names: string[]) =>
    writeFileSync(path.join(home.cwd, 'course.csv'), `student\n${names.map((name) => `${name}\n`).join('')}`);

  const course = (command: string, ...args: string[]): Promise<Outcome> =>
    home.local('class', command, '-f', 'course.csv', ...args);

  const asStudent = (student: string, ...args: string[]): Promise<Outcome> =>
    run(kubectl, [`--kubeconfig=course/${student}/kubeconfig`, ...args], { env: home.env, cwd: home.cwd });

  const objectOf = async (student: string, path: string) =>
    succeeded(await asInfraAdmin('-n', `course-${student}`, 'get', 'hcp', 'k8sk8s', '-o', `jsonpath=${path}`)).stdout;

  async function states(): Promise<string[]> {
    const { stdout } = await course('status', '--output', 'json');
    const { students } = JSON.parse(stdout) as {
      students: { student: string; state: string; healthy: boolean; problems: object[] }[];
    };
    return students.map((each) => `${each.student} ${each.state} ${each.healthy}`);
  }

  test('objects are made, their planes become Available, and run again there is nothing to do', async () => {
    const hosts = ['-h', '{student}.course.e2e.test', '--with-operator', '--namespaces'];
    const made = JSON.parse(succeeded(await course('create', ...hosts, '--output', 'json')).stdout);
    expect(made.students.map(({ created }: { created: number }) => created)).toEqual([1, 1]);
    expect(await states()).toEqual(['dora available true', 'emil available true']);
    expect(await objectOf('dora', '{.spec.profile} {.status.conditions[?(@.type=="Available")].status}')).toBe(
      'lite True',
    );
    const again = JSON.parse(succeeded(await course('create', '--namespaces', '--output', 'json')).stdout);
    for (const student of again.students) expect(student).toMatchObject({ created: 0, changed: 0 });
    succeeded(await course('handout'));
    succeeded(await asStudent('dora', 'create', 'configmap', 'mine'));
  });

  test('sleep, wake and reset go through the objects', async () => {
    succeeded(await course('sleep', 'emil'));
    expect(await states()).toEqual(['dora available true', 'emil asleep true']);
    succeeded(await course('wake', 'emil'));
    expect(await objectOf('emil', '{.spec.asleep}')).toBe('false');
    const before = await objectOf('dora', '{.status.planeId}');
    succeeded(await course('reset', 'dora', '--yes'));
    expect(await objectOf('dora', '{.status.planeId}')).not.toBe(before);
    expect((await asStudent('dora', 'get', 'configmap', 'mine')).stderr).toContain('NotFound');
    expect(await states()).toEqual(['dora available true', 'emil available true']);
  });

  test('at the end there is neither a plane nor an object', async () => {
    roster(['dora']);
    expect(succeeded(await course('create', '--namespaces')).stderr).toContain('"emil" is not on the roster');
    const ended = JSON.parse(succeeded(await course('end', '--yes', '--output', 'json')).stdout);
    expect(ended.left).toBe(0);
    for (const student of students) {
      const kinds = 'all,ingresses,pvc,secrets,configmaps,leases,jobs,hostedcontrolplanes';
      const left = await asInfraAdmin('-n', `course-${student}`, 'get', kinds, '-o', 'name');
      expect(left.stdout.split('\n').filter((each) => each !== '' && each !== 'configmap/kube-root-ca.crt')).toEqual(
        [],
      );
    }
  });
});
