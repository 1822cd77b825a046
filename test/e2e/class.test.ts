import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { Attacker, byOwnPod, byVolume, flood } from './student-attacks.ts';
import { asInfraAdmin, kubectl, Namespace, type Outcome, run, sandboxCommand, succeeded } from './world.ts';

// Students by the commands of docs/classes.md. The teacher is a delegated administrator of the students' namespaces and of nothing else.
// Anna is a user of the infra cluster, too, and looks for Bob's plane; docs/classes.md has the table.

let home: Namespace;
let anna: Namespace;
const whole = runsAllOf('e2e/class');
/** `npm run test:all` has a third one, who neither sleeps nor leaves, and Anna as a user of the infra cluster. */
const students = whole ? ['anna', 'cleo', 'bob'] : ['anna', 'bob'];

beforeAll(async () => {
  home = await Namespace.open('lesson');
  if (whole) anna = await Namespace.open('lesson-anna');
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
    `student,title,user\n${names.map((name) => `${name},${name} X,${whole && name === 'anna' ? 'lesson-anna-admin' : ''}\n`).join('')}`,
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

describe.runIf(whole)(
  'a student with all rights on both sides, against the plane of a neighbour',
  { timeout: 400_000 },
  () => {
    let attacker: Attacker;
    beforeAll(() => {
      attacker = new Attacker(home, 'lesson/anna/kubeconfig', anna, 'lesson-bob');
    });
    afterAll(() => {
      attacker?.close();
      console.log(attacker?.seen.join('\n'));
    });

    test('by the infra cluster: neither seen nor changed, and no pod above others', async () => {
      const there = ['-n', 'lesson-bob'];
      const rbac = /Forbidden/;
      attacker.forbidden('get secrets', await attacker.infra(...there, 'get', 'secrets'), rbac);
      attacker.forbidden('delete pod etcd-0', await attacker.infra(...there, 'delete', 'pod', 'etcd-0'), rbac);
      const scale = ['scale', 'deployment/kube-apiserver', '--replicas=0'];
      attacker.forbidden('scale to 0', await attacker.infra(...there, ...scale), rbac);
      const pod = ['run', 'above', '--image=x', '--restart=Never', '--overrides'];
      const overrides = (spec: object) => JSON.stringify({ apiVersion: 'v1', spec });
      const privileged = [{ name: 'above', image: 'x', securityContext: { privileged: true } }];
      const outcome = await attacker.infra(...pod, overrides({ containers: privileged }));
      attacker.forbidden('a privileged pod', outcome, /violates PodSecurity/);
      const container = {
        name: 'above',
        image: 'x',
        resources: { requests: { cpu: '5m', memory: '8Mi' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      };
      const safe = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };
      const above = { securityContext: safe, priorityClassName: 'system-node-critical', containers: [container] };
      attacker.forbidden(
        'a pod of the highest priority',
        await attacker.infra(...pod, overrides(above)),
        /exceeded quota/,
      );
      const large = { ...container, resources: { requests: { cpu: '1', memory: '8Mi' } } };
      const outsize = await attacker.infra(...pod, overrides({ securityContext: safe, containers: [large] }));
      attacker.forbidden('a pod that requests a core', outsize, /exceeded quota/);
    });

    test('by the own API server: the gate refuses', () => attacker.byOwnApiServer());

    test('by the own credentials: they are unknown there', () =>
      attacker.byOwnCredentials('https://bob.class.e2e.test'));

    test('by a pod with the keys of the own plane: they are worth nothing there', async () => {
      for (const [what, answer] of Object.entries(await byOwnPod(attacker)))
        expect(answer, what).toMatch(/^(ERROR|401|403)/);
    });

    test('by the volume of the neighbour: it is not bound to another claim', async () => {
      expect(await byVolume(attacker)).not.toBe('Bound');
    });

    test('by a record that says to be the plane of the neighbour: the teacher is told, and the neighbour is as before', async () => {
      const idOf = async (student: string) =>
        succeeded(
          await asInfraAdmin(
            '-n',
            `lesson-${student}`,
            'get',
            'configmap',
            'k8sk8s',
            '-o',
            'jsonpath={.metadata.labels.app\\.kubernetes\\.io/instance}',
          ),
        ).stdout;
      // Nodes that the ways before have made, with nothing behind them.
      succeeded(await asStudent('anna', 'delete', 'nodes', '--all'));
      const asBefore = students.map((student) => `${student} available true`);
      expect(await states()).toEqual(asBefore);
      const record = succeeded(await attacker.infra('get', 'configmap', 'k8sk8s', '-o', 'json')).stdout;
      const [own, others] = [await idOf('anna'), await idOf('bob')];
      writeFileSync(path.join(anna.cwd, 'forged.json'), record.replaceAll(own, others));
      succeeded(await attacker.infra('replace', '-f', 'forged.json'));
      const forged = await states();
      expect(forged.find((each) => each.startsWith('anna'))).not.toContain('true');
      expect(forged).toContain('bob available true');
      const before = JSON.parse(record) as { metadata: { resourceVersion?: string } };
      delete before.metadata.resourceVersion;
      writeFileSync(path.join(anna.cwd, 'own.json'), JSON.stringify(before));
      succeeded(await attacker.infra('replace', '-f', 'own.json'));
      expect(await states()).toEqual(asBefore);
    });

    test('by a flood: the neighbour answers each question all the same', async () => {
      const answers = await flood(attacker, 20, async () =>
        succeeded(await asStudent('bob', 'get', '--raw', '/readyz')),
      );
      expect(answers).toBeGreaterThan(0);
    });
  },
);

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
