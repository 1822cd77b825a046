import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { applyObjects } from '../../src/operator/install.ts';
import type { HostedControlPlane } from '../../src/operator/object.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { OperatorWorld } from './operator-process.ts';
import { untilAllowed, untilOperatorMay } from './rights.ts';

/*
 * A class whose planes the operator makes: the built command line with the rights of `class rights --export`, the operator as a process
 * with its own token, and an API server that gives planes no pods, so that tries run out: with `npm run test:all`. In
 * test/e2e/class-operator.test.ts planes run.
 */

describe.runIf(runsAllOf('api/class-operator'))('a class of the operator', { timeout: 240_000 }, () => {
  let world: OperatorWorld;
  let teacher: string;
  let folder: string;
  let admin: string;

  beforeAll(async () => {
    world = await OperatorWorld.open();
    folder = path.join(world.plane.folder, 'school');
    mkdirSync(folder);
    teacher = await world.plane.kubeconfig('teacher');
    admin = await world.plane.kubeconfig('administrator', ['system:masters']);
    world.start(['--timeout', '3s']);
  });
  afterAll(() => world?.close());

  interface Outcome {
    code: number;
    stdout: string;
    stderr: string;
  }

  function lesson(command: string, ...args: string[]): Promise<Outcome> {
    const line = [path.resolve('dist/cli.js'), 'class', command, '-f', 'x.csv', '--kubeconfig', teacher, ...args];
    return new Promise((resolve) =>
      execFile(process.execPath, line, { cwd: folder }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      ),
    );
  }

  /** HOSTs have to lead somewhere. */
  const hosts: Record<string, string> = { anna: 'localhost', bob: '127.0.0.2', cleo: '127.0.0.3', dora: '127.0.0.4' };
  const roster = (...students: string[]) =>
    writeFileSync(
      path.join(folder, 'x.csv'),
      `student,host\n${students.map((student) => `${student},${hosts[student]}\n`).join('')}`,
    );
  const inside = (student: string): InfraCluster => connectByFile(admin, `x-${student}`);
  const objectOf = (student: string) => inside(student).get<HostedControlPlane>(hostedControlPlane, 'k8sk8s');

  /** What the administrator of the infra cluster does with the output of `class rights --export`. */
  async function grant(...args: string[]): Promise<void> {
    const { stdout, code, stderr } = await lesson('rights', '--export', '--teacher', 'teacher', ...args);
    expect(code, stderr).toBe(0);
    const objects = loadAll(stdout) as KubeObject[];
    await applyObjects(world.admin, objects, quietReporter);
    const namespaces = objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name);
    for (const namespace of namespaces) {
      await untilAllowed(world.admin, { user: 'teacher' }, { namespace, verb: 'create', resource: 'secrets' });
      await untilOperatorMay(world.admin, namespace);
    }
  }

  const create = ['create', '--namespaces', '--with-operator', '--expose', 'nodeport', '--timeout', '2s'] as const;

  test('the teacher makes objects by the rights that were printed, and the operator makes what it can of them', async () => {
    roster('anna', 'bob');
    await grant('--with-operator');
    const made = await lesson(...create);
    // Nothing gives the planes pods here.
    expect(made).toEqual(refused('class', 'x-anna', 'x-bob'));
    for (const student of ['anna', 'bob']) {
      const object = (await objectOf(student))!;
      expect(object.spec).toEqual({ profile: 'lite', host: hosts[student], expose: 'nodeport' });
      const secrets = (await inside(student).list({ apiVersion: 'v1', kind: 'Secret' })).items;
      expect(secrets.length).toBeGreaterThan(3);
      for (const { metadata } of secrets) expect(metadata.ownerReferences?.[0]?.uid).toBe(object.metadata.uid);
    }
    const status = JSON.parse((await lesson('status', '--output', 'json')).stdout) as {
      students: { state: string; problems: { anchor: string }[] }[];
    };
    expect(status.students.map(({ state }) => state)).toEqual(['deploying', 'deploying']);
    expect(status.students[0]!.problems.map(({ anchor }) => anchor)).toContain('object-not-made');
  });

  test("an administrator's field is refused for each student by name, and nothing is written", async () => {
    const before = (await objectOf('anna'))!.metadata.generation;
    const refusal = await lesson('create', '--namespaces', '--replicas', '2', '--timeout', '2s');
    expect(refusal).toEqual(refused('class', "spec.replicas is the administrator's", 'anna', 'bob'));
    expect((await objectOf('anna'))!.metadata.generation).toBe(before);
  });

  test('a new student whose namespace the operator may not enter is told at once, and the others are not touched', async () => {
    roster('anna', 'bob', 'cleo');
    const rights = await lesson('rights', '--export', '--teacher', 'teacher');
    const objects = (loadAll(rights.stdout) as KubeObject[]).filter(
      ({ kind, metadata }) =>
        metadata.name === 'x-cleo' || (metadata.namespace === 'x-cleo' && kind !== 'ServiceAccount'),
    );
    const without = objects.filter(
      ({ kind, metadata }) => !(kind === 'RoleBinding' && metadata.name === 'k8sk8s-plane'),
    );
    await applyObjects(world.admin, without, quietReporter);
    const ends = ['--expose', 'nodeport', '--expires-at', '2099-01-01T00:00:00Z'];
    const refusal = await lesson('create', '--namespaces', ...ends, '--timeout', '1s');
    expect(refusal).toEqual(refused('class', 'x-cleo', 'operator allow -n x-cleo'));
    expect(refusal.stderr.match(/^cleo: refused/gm)).toHaveLength(1);
    // What was not given again stays, and the end of a plane is a field of its object.
    expect((await objectOf('bob'))!.spec).toMatchObject({ expose: 'nodeport', expiresAt: '2099-01-01T00:00:00.000Z' });
  });

  test('end deletes objects that have a plane, and such that have none, and nothing is left', async () => {
    const ended = await lesson('end', '--yes', '--timeout', '30s', '--output', 'json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(JSON.parse(ended.stdout).left).toBe(0);
    for (const student of ['anna', 'bob', 'cleo']) {
      expect(await objectOf(student)).toBeUndefined();
      expect((await inside(student).list({ apiVersion: 'v1', kind: 'Secret' })).items).toEqual([]);
    }
  });

  test("a plane of the command line's is left alone, and where there is no operator that is said", async () => {
    roster('dora');
    await grant('--with-operator');
    const byHand = await lesson(
      'create',
      '--namespaces',
      '--name',
      'y',
      '-n',
      'x-{student}',
      '--expose',
      'nodeport',
      '--timeout',
      '1s',
    );
    expect(byHand.code, byHand.stderr).toBe(1);
    expect(await lesson(...create)).toEqual(refused('not-adopted', 'adopt -n x-dora'));
    expect(await objectOf('dora')).toBeUndefined();
    expect((await lesson('end', '--yes', '--timeout', '30s')).code).toBe(0);
    const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
    const name = 'hostedcontrolplanes.k8sk8s.io';
    await world.admin.merge(definition, name, { metadata: { annotations: { 'k8sk8s.io/delete-all-planes': 'yes' } } });
    await world.admin.delete({ ...definition, metadata: { name } } as KubeObject);
    await world.until(async () => (await world.admin.get(definition, name)) === undefined);
    expect(await lesson(...create)).toEqual(refused('operator-not-installed', 'operator install'));
  });
});
