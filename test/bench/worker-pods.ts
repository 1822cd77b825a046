import { workerPodName } from '../../src/plane/beside/worker-pods/worker-pods.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { workerPodOptions } from './idle.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { logTime } from './phases.ts';
import { Bench } from './plane.ts';
import { type Summary, summarize } from './statistics.ts';

/** What a worker pod says of itself, or its kubelet, in this order. */
const moments = [
  ['its container runs', /./],
  ['containerd runs', /^\S+ worker: containerd runs/],
  ['images imported', /^\S+ worker: images imported/],
  ['kubelet started', /^\S+ worker: containerd and kubelet run/],
  ['Node registered', /Successfully registered node/],
  ['Node Ready', /just became ready/],
] as const;

const ofDeploy = 'deploy says that all are Ready';

export interface WorkerPodsReport {
  machine: MachineState;
  options: string[];
  /** Milliseconds after AVAILABLE, of the later worker; negative before it. */
  runs: Record<string, number | undefined>[];
}

/** Measures where the seconds go until worker pods are Ready that start with a new plane. The first run is not counted. */
export async function measureWorkerPods(
  options: { sandbox: string; runs: number; workerPods: number; deployOptions: string[] },
  reporter: Reporter,
): Promise<WorkerPodsReport> {
  const { sandbox, workerPods } = options;
  const state = await sandboxUp({ name: sandbox, workers: 0, infraNodes: 1 }, reporter);
  const given = [...(await workerPodOptions(sandbox, workerPods, reporter)), ...options.deployOptions];
  const report: WorkerPodsReport = { machine: machineState(state.kubernetesVersion), options: given, runs: [] };
  const bench = await Bench.open(sandbox, 'bench');
  try {
    for (let run = 0; run <= options.runs; run++) {
      await calm();
      try {
        const seen = await deployed(bench, given, workerPods);
        if (run === 0) continue;
        report.runs.push(seen);
        reporter.line(`run ${run} of ${options.runs}: ${Math.round(seen[ofDeploy] ?? Number.NaN)} ms after AVAILABLE`);
      } finally {
        await bench.destroy();
      }
    }
  } finally {
    await bench.close();
  }
  return report;
}

async function deployed(
  bench: Bench,
  given: string[],
  workerPods: number,
): Promise<Record<string, number | undefined>> {
  const { lines, started } = await bench.k8sk8s('deploy', '-h', bench.host, ...given);
  const told = (pattern: RegExp) => lines.find(({ text }) => pattern.test(text))?.at;
  const available = told(/^AVAILABLE !/);
  if (available === undefined) throw new Error('the command ended, and its output does not say AVAILABLE');
  const names = Array.from({ length: workerPods }, (_, number) => workerPodName(number));
  const logs = await Promise.all(names.map((name) => bench.cluster.log(name, { timestamps: true })));
  const latest = (pattern: RegExp) => {
    const times = logs.map((log) => logTime(log, pattern, started));
    return times.includes(undefined) ? undefined : Math.max(...(times as number[]));
  };
  const after = (time: number | undefined) => (time === undefined ? undefined : time - available);
  return {
    ...Object.fromEntries(moments.map(([name, pattern]) => [name, after(latest(pattern))])),
    [ofDeploy]: after(told(/^\d+ workers are Ready/)),
  };
}

/** Pure. */
export function renderWorkerPods({ machine, options, runs }: WorkerPodsReport): string {
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
  const cells = ({ median, minimum, maximum }: Summary) => [median, minimum, maximum].map(seconds);
  const rows = [...moments.map(([name]) => name), ofDeploy].map((name) => {
    const values = runs.flatMap((run) => run[name] ?? []);
    return [name, ...(values.length > 0 ? cells(summarize(values)) : ['not seen'])];
  });
  return [
    machineLine(machine),
    `deploy ${options.join(' ')}`,
    `After AVAILABLE, of the worker that comes last; ${runs.length} runs.`,
    '',
    table(['', 'MEDIAN', 'MINIMUM', 'MAXIMUM'], rows),
  ].join('\n');
}
