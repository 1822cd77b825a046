import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dump, load } from 'js-yaml';
import type { ConfigMap } from '../../src/kube/objects.ts';
import { recordName } from '../../src/plane/names.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { InfraCredentials } from '../../src/sandbox/infra/credentials.ts';
import { adminKubectl } from '../../src/sandbox/infra/kubectl.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { cli } from './run.ts';
import { type Summary, summarize } from './statistics.ts';

/** One command, run several times. */
interface Measured {
  command: string;
  /** From its start to its end. */
  milliseconds: Summary;
  /** Processor time, user and system, which stays the same on a busy box. */
  processorMs: Summary;
}

export interface CommandsReport {
  machine: MachineState;
  planes: number;
  commands: Measured[];
}

interface Case {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
}

/**
 * Measures how quickly the command line answers: help beside a Node.js that does nothing, then list and status where there are
 * many planes. One plane is real; the others are their records, because list reads no more.
 */
export async function measureCommands(
  options: { sandbox: string; planes: number; runs: number },
  reporter: Reporter,
): Promise<CommandsReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const bench = await Bench.open(options.sandbox, 'bench');
  try {
    await bench.deploy(['--profile', 'lite']);
    const neighbours = await Neighbours.make(options.sandbox, bench, options.planes - 1);
    try {
      const admin = { KUBECONFIG: new InfraCredentials(requireState(options.sandbox)).file('admin.kubeconfig') };
      const delegate = { KUBECONFIG: neighbours.kubeconfig };
      const cases: Case[] = [
        { command: 'node, an empty program', args: ['-e', ''] },
        { command: 'k8sk8s --help', args: [cli, '--help'] },
        { command: 'k8sk8s deploy --help', args: [cli, 'deploy', '--help'] },
        { command: 'list, who may read everything', args: [cli, 'list'], env: admin },
        { command: `list, ${options.planes} contexts of a delegate`, args: [cli, 'list'], env: delegate },
        { command: 'status', args: [cli, 'status', '-n', bench.namespace], env: delegate },
      ];
      const listed = run(cases[4]!)
        .stdout.split('\n')
        .filter((line) => line.includes(bench.host)).length;
      if (listed !== options.planes) throw new Error(`list shows ${listed} planes instead of ${options.planes}`);
      return { machine, planes: options.planes, commands: measure(cases, options.runs) };
    } finally {
      await neighbours.remove();
    }
  } finally {
    await bench.destroy();
    await bench.close();
  }
}

/** Each run has all commands in turn, so that other work on the box slows all of them alike. */
function measure(cases: Case[], runs: number): Measured[] {
  const times = cases.map(() => ({ milliseconds: [] as number[], processorMs: [] as number[] }));
  for (let round = 0; round <= runs; round++)
    for (const [index, each] of cases.entries()) {
      const { milliseconds, processorMs } = run(each);
      if (round === 0) continue;
      times[index]!.milliseconds.push(milliseconds);
      times[index]!.processorMs.push(processorMs);
    }
  return times.map(({ milliseconds, processorMs }, index) => ({
    command: cases[index]!.command,
    milliseconds: summarize(milliseconds),
    processorMs: summarize(processorMs),
  }));
}

function run({ command, args, env }: Case): { stdout: string; milliseconds: number; processorMs: number } {
  const before = processorTimeOfChildren();
  const from = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  const milliseconds = performance.now() - from;
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return { stdout, milliseconds, processorMs: processorTimeOfChildren() - before };
}

/** Milliseconds, user and system, of children that have ended; in hundredths of a second (proc_pid_stat(5)). */
function processorTimeOfChildren(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/**
 * Makes namespaces that each hold the record of a plane and nothing else; one delegated administrator has rights in all of
 * them.
 */
class Neighbours {
  /** The kubeconfig of the delegated administrator, with a context for each namespace. */
  readonly kubeconfig: string;
  readonly #kubectl: (args: string[], input?: string) => Promise<string>;
  readonly #names: string[];

  private constructor(
    kubeconfig: string,
    kubectl: (args: string[], input?: string) => Promise<string>,
    names: string[],
  ) {
    this.kubeconfig = kubeconfig;
    this.#kubectl = kubectl;
    this.#names = names;
  }

  static async make(sandbox: string, bench: Bench, count: number): Promise<Neighbours> {
    const state = requireState(sandbox);
    const credentials = new InfraCredentials(state);
    const { kubectl } = await ensureBinaries(
      ['kubectl'],
      { kubernetesVersion: state.kubernetesVersion },
      quietReporter,
    );
    const administrator = (args: string[], input?: string) => adminKubectl(kubectl, credentials, args, input);
    const names = Array.from({ length: count }, (_, index) => `${bench.namespace}-${index + 2}`);
    const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
    const record = (await bench.cluster.get<ConfigMap>(kind, recordName))!;
    const { labels } = record.metadata;
    const objects = names.flatMap((namespace) => [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'k8sk8s', namespace },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: `${bench.namespace}-admin` }],
      },
      { ...kind, metadata: { name: recordName, namespace, labels }, data: record.data },
    ]);
    const { kubeconfig } = await sandboxEnvironment({ name: sandbox, namespace: bench.namespace });
    const neighbours = new Neighbours(path.join(bench.folder, 'kubeconfig'), administrator, names);
    await administrator(
      ['apply', '--server-side', '-f', '-'],
      objects.map((object) => `---\n${dump(object)}`).join(''),
    );
    writeFileSync(neighbours.kubeconfig, withContexts(readFileSync(kubeconfig, 'utf8'), names));
    return neighbours;
  }

  async remove(): Promise<void> {
    await this.#kubectl(['delete', 'namespace', '--wait=false', ...this.#names]);
  }
}

/** A kubeconfig with another context for each namespace. Pure. */
function withContexts(kubeconfig: string, namespaces: string[]): string {
  const config = load(kubeconfig) as { contexts: { name: string; context: object }[] };
  const [first] = config.contexts;
  const others = namespaces.map((namespace) => ({ name: namespace, context: { ...first!.context, namespace } }));
  return dump({ ...config, contexts: [first, ...others] });
}

/** Pure. */
export function renderCommands({ machine, planes, commands }: CommandsReport): string {
  const [empty] = commands;
  const row = ({ command, milliseconds, processorMs }: Measured) => [
    command,
    ...[milliseconds.median, milliseconds.minimum, milliseconds.maximum, processorMs.median].map((each) =>
      each.toFixed(0),
    ),
    (processorMs.median / empty!.processorMs.median).toFixed(1),
  ];
  return [
    machineLine(machine),
    `${planes} planes: one that runs, and the records of ${planes - 1} others.`,
    '',
    table(['COMMAND', 'MEDIAN ms', 'MINIMUM', 'MAXIMUM', 'PROCESSOR ms', 'TIMES AN EMPTY NODE'], commands.map(row)),
  ].join('\n');
}
