import { setTimeout as sleep } from 'node:timers/promises';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { Node, Pod } from '../../src/kube/objects.ts';
import { inHostedCluster } from '../../src/live/open.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { millisecondsSinceStart } from '../../src/sandbox/process.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { type Summary, summarize } from './statistics.ts';

/** Milliseconds since the first kubelet's process was started. */
interface Joined {
  firstReady: number;
  allReady: number;
  /** Both pods of the Deployment answered a worker. */
  answering: number;
}

const figures = ['firstReady', 'allReady', 'answering'] as const;

export interface WorkersReport {
  machine: MachineState;
  /** Options of deploy beyond the host and the namespace. */
  options: string[];
  runs: Joined[];
  summary: Record<(typeof figures)[number], Summary>;
}

const count = 2;
const every = 100;
const limit = 120_000;

/**
 * Measures how soon pods answer on two workers: both kubelets are started together, and a Deployment has two pods, one for each
 * worker. The first run is not counted.
 */
export async function measureWorkers(
  options: { sandbox: string; runs: number; deployOptions: string[] },
  reporter: Reporter,
): Promise<WorkersReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: count, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const bench = await Bench.open(options.sandbox, 'bench');
  const runs: Joined[] = [];
  try {
    for (let run = 0; run <= options.runs; run++) {
      await bench.deploy(options.deployOptions);
      try {
        await calm();
        const joined = await join(bench, options.sandbox);
        if (run === 0) continue;
        runs.push(joined);
        reporter.line(
          `run ${run} of ${options.runs}: first worker Ready ${Math.round(joined.firstReady)} ms, both pods answer ${Math.round(joined.answering)} ms`,
        );
      } finally {
        await bench.k8sk8s('sandbox', 'join', '--leave', '--name', options.sandbox);
        await bench.destroy();
      }
    }
  } finally {
    await bench.close();
  }
  const summary = Object.fromEntries(
    figures.map((figure) => [figure, summarize(runs.map((run) => run[figure]))]),
  ) as WorkersReport['summary'];
  return { machine, options: options.deployOptions, runs, summary };
}

function join(bench: Bench, sandbox: string): Promise<Joined> {
  return inHostedCluster(bench.cluster, async (_, hosted) => {
    await hosted.apply(web);
    const joining = bench.k8sk8s('sandbox', 'join', '--name', sandbox, '--workers', String(count));
    // The first error is reported; the error that then follows in the other one is not.
    const [seen] = await Promise.all([watchThem(hosted, bench.namespace, sandbox), joining]);
    return seen;
  });
}

/**
 * Times are those of performance.now() until the start of the kubelets is known, because the command that starts them ends
 * later.
 */
async function watchThem(hosted: HostedCluster, namespace: string, sandbox: string): Promise<Joined> {
  const ready = (least: number) => async () => {
    const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
    const isReady = ({ status }: Node) =>
      status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
    return items.filter(isReady).length >= least;
  };
  const firstReady = await moment('a Ready worker', ready(1));
  const allReady = await moment('the other Ready worker', ready(count));
  const answering = await moment('an answer of both pods', () => bothAnswer(hosted, namespace, sandbox));
  const kubelets = workersOf(namespace, sandbox).map(({ daemons }) => millisecondsSinceStart(daemons.kubelet!));
  const from = performance.now() - Math.max(...kubelets);
  return { firstReady: firstReady - from, allReady: allReady - from, answering: answering - from };
}

/** Asks both pods from the first worker, so one of the answers comes over the pod network. */
async function bothAnswer(hosted: HostedCluster, namespace: string, sandbox: string): Promise<boolean> {
  const { items } = await hosted.list<Pod>(
    { apiVersion: 'v1', kind: 'Pod' },
    { namespace: web.metadata.namespace, labelSelector: 'app=web' },
  );
  const addresses = items.flatMap(({ status }) => status?.podIP ?? []);
  if (addresses.length < count) return false;
  const [worker] = workersOf(namespace, sandbox);
  const answers = await Promise.all(
    addresses.map((address) => inside(worker!, ['timeout', '1', 'bash', '-c', ask, address]).catch(() => '')),
  );
  return new Set(answers.flatMap((answer) => /^web-\S+$/m.exec(answer) ?? [])).size === count;
}

function workersOf(namespace: string, sandbox: string) {
  return requireState(sandbox).machines.filter(({ claimedBy }) => claimedBy === namespace);
}

async function moment(what: string, reached: () => Promise<boolean>): Promise<number> {
  const deadline = Date.now() + limit;
  while (!(await reached())) {
    if (Date.now() > deadline) throw new Error(`${what} is not there within ${limit / 1000} s`);
    await sleep(every);
  }
  return performance.now();
}

/** An HTTP request by bash, because a worker may have no other program for it. */
const ask = 'exec 3<>/dev/tcp/$0/8080 && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3';
const labels = { app: 'web' };
const serve =
  "const name = require('os').hostname(); require('http').createServer((_, response) => response.end(name)).listen(8080)";
const web = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas: count,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            minDomains: count,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: labels },
          },
        ],
        containers: [{ name: 'web', image: 'docker.io/library/node:24-slim', command: ['node', '-e', serve] }],
      },
    },
  },
};

/** Pure. */
export function renderWorkers({ machine, options, runs, summary }: WorkersReport): string {
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
  const names = {
    firstReady: 'first worker Ready',
    allReady: 'both workers Ready',
    answering: 'both pods of a Deployment answer',
  };
  return [
    machineLine(machine),
    ...(options.length > 0 ? [`deploy ${options.join(' ')}`] : []),
    `Two workers, from the start of their kubelets; ${runs.length} runs.`,
    '',
    table(
      ['', 'MEDIAN', 'MINIMUM', 'MAXIMUM', 'MIDDLE HALF'],
      figures.map((figure) => {
        const { median, minimum, maximum, noise } = summary[figure];
        return [names[figure], ...[median, minimum, maximum, noise].map(seconds)];
      }),
    ),
  ].join('\n');
}
