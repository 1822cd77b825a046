import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { accountObjects } from '../../src/operator/install.ts';
import type { Condition, HostedControlPlane } from '../../src/operator/object.ts';
import { sandboxHost, takeHostBack } from '../../src/sandbox/host.ts';
import { anonymousMemory, processorTime } from '../process-figures.ts';
import { runsAllOf } from '../test-all.ts';
import { installOperator, operatorProcesses, removeDefinition } from './operator-world.ts';
import { asInfraAdmin, eventually, infraAdminEnvironment, Namespace, type Outcome, run, succeeded } from './world.ts';

// Many planes applied at once, beside as many by `class create` with its queue of three. The box decides how many: K8SK8S_PLANES, 4 where
// nothing is said (`npm run test:all`); docs/operator.md has figures. Thirty of them take 7 GiB, and about 20 minutes of two cores.

const count = Number(process.env.K8SK8S_PLANES ?? 4);
const names = Array.from({ length: count }, (_, n) => `scale-${n}`);
const host = (name: string) => `${name}.scale.e2e.test`;
/** Seconds that all planes may take to come, or to go: a slow hour of the box costs no failure. */
const patience = 120 + 45 * count;
let home: Namespace;

const apply = async (objects: object[]) => {
  const file = path.join(home.cwd, 'objects.yaml');
  writeFileSync(file, objects.map((each) => dump(each, { noRefs: true })).join('---\n'));
  succeeded(await asInfraAdmin('apply', '-f', file));
};

/** As the administrator, who has all namespaces. */
async function lesson(name: string, ...args: string[]): Promise<Outcome> {
  const files = ['-f', path.join(home.cwd, 'many.csv'), '--dir', path.join(home.cwd, 'many')];
  return run(process.execPath, [path.resolve('dist/cli.js'), 'class', name, ...files, ...args], {
    env: await infraAdminEnvironment(),
    timeout: patience * 1000,
  });
}

/** Others in the same sandbox may have planes too. */
async function ours<T extends { metadata: { namespace?: string } }>(...get: string[]): Promise<T[]> {
  const { items } = JSON.parse(succeeded(await asInfraAdmin('get', ...get, '-A', '-o', 'json')).stdout) as {
    items: T[];
  };
  return items.filter(({ metadata }) => names.includes(metadata.namespace!));
}

async function untilAll(type: Condition['type'], wanted: Partial<Condition>): Promise<void> {
  await eventually(patience, async () => {
    // To ask takes processor time that the planes need.
    await sleep(1000);
    const objects = await ours<HostedControlPlane>('hcp');
    const of = ({ status }: HostedControlPlane) => status?.conditions?.find((each) => each.type === type);
    const lacking = objects.filter((object) => {
      const found = of(object);
      return Object.entries(wanted).some(([field, value]) => found?.[field as keyof Condition] !== value);
    });
    expect(
      lacking.map((object) => `${object.metadata.namespace}: ${of(object)?.reason} ${of(object)?.message}`),
    ).toEqual([]);
    expect(objects).toHaveLength(count);
  });
}

const deleteObjects = () =>
  Promise.all(names.map((name) => asInfraAdmin('-n', name, 'delete', 'hcp', '--all', '--wait=false')));

describe.runIf(runsAllOf('e2e/operator-scale'))('many planes at once', { timeout: 3_600_000 }, () => {
  beforeAll(async () => {
    home = await Namespace.open('scale');
    await installOperator();
    // class create looks whether a name leads anywhere.
    for (const name of names) await sandboxHost(inject('sandbox'), host(name));
    await apply(
      names.flatMap((name) => [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, ...accountObjects(name)]),
    );
  }, 300_000);

  afterAll(async () => {
    await deleteObjects();
    await removeDefinition();
    await asInfraAdmin('delete', 'namespace', ...names, '--ignore-not-found', '--wait=false');
    for (const name of names) await takeHostBack(inject('sandbox'), host(name));
  }, 300_000);

  /** Seconds until the operator has made the planes, by objects. */
  let byOperator: number;

  test(`${count} planes are Available`, async () => {
    const begun = performance.now();
    await apply(
      names.map((name) => ({
        ...hostedControlPlane,
        metadata: { name: 'k8sk8s', namespace: name },
        spec: { host: host(name), profile: 'lite' },
      })),
    );
    await untilAll('Available', { status: 'True' });
    byOperator = (performance.now() - begun) / 1000;
    process.stderr.write(`${count} planes: Available after ${byOperator.toFixed(0)} s\n`);
  });

  test('the operator is idle beside them', async () => {
    await untilAll('Progressing', { status: 'False', reason: 'UpToDate' });
    // What it noticed while they came is looked at once more.
    await sleep(60_000);
    const [operator] = operatorProcesses();
    const used = processorTime(operator!);
    await sleep(120_000);
    const millicores = ((processorTime(operator!) - used) / 120) * 1000;
    const memory = anonymousMemory(operator!);
    process.stderr.write(`${count} planes: idle ${memory.toFixed(0)} MiB anonymous, ${millicores.toFixed(1)} m\n`);
    expect(memory).toBeLessThanOrEqual(100);
    expect(millicores).toBeLessThanOrEqual(5);
  });

  test('they go with their objects', async () => {
    const begun = performance.now();
    await deleteObjects();
    await eventually(patience, async () => {
      const left = await ours('pods,secrets', '-l', 'app.kubernetes.io/part-of=k8sk8s');
      expect(left.map(({ metadata }) => metadata.namespace)).toEqual([]);
    });
    process.stderr.write(`${count} planes: deleted in ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
  });

  test('the command line is not faster', async () => {
    const students = names.map((name, n) => `student${n},${name},${host(name)}\n`).join('');
    writeFileSync(path.join(home.cwd, 'many.csv'), `student,namespace,host\n${students}`);
    const begun = performance.now();
    succeeded(await lesson('create', '--namespaces', '--parallel', '3', '--profile', 'lite'));
    const byCommand = (performance.now() - begun) / 1000;
    process.stderr.write(
      `${count} planes: ${byOperator.toFixed(0)} s by the operator, ${byCommand.toFixed(0)} s by class create\n`,
    );
    succeeded(await lesson('end', '--yes', '--parallel', '4'));
  });
});
