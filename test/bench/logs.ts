import { setTimeout as sleep } from 'node:timers/promises';
import { logRightsObjects } from '../../src/operations/log-store/switch.ts';
import { logStore } from '../../src/plane/beside/log-store/log-store.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { connectByFile } from '../connect-by-file.ts';
import { type Consumption, consumptionOf, type PlaneConsumption } from './consumption.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { type Summary, shuffled, summarize } from './statistics.ts';

/** A plane that keeps its logs, or one that does not. */
interface Kind {
  availableMs: Summary;
  /** Until the command ended: with logs that is when they are kept. */
  doneMs: Summary;
  atRest: PlaneConsumption;
}

const kinds = ['without', 'kept'] as const;

export interface LogsReport {
  machine: MachineState;
  options: string[];
  runs: number;
  restSeconds: number;
  watchedSeconds: number;
  kinds: Record<(typeof kinds)[number], Kind>;
}

/** What --logs costs: the time of a deploy, in rounds of one with and one without in random order, and what a plane takes at rest. */
export async function measureLogs(
  options: { sandbox: string; runs: number; seconds: number; deployOptions: string[] },
  reporter: Reporter,
): Promise<LogsReport> {
  const { sandbox, runs, seconds, deployOptions } = options;
  const state = await sandboxUp({ name: sandbox, workers: 0, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const restSeconds = 2 * seconds + 10;
  const bench = await Bench.open(sandbox, 'bench');
  const optionsOf = (kind: (typeof kinds)[number]) => [...deployOptions, ...(kind === 'kept' ? ['--logs'] : [])];
  const times = { without: [] as Times[], kept: [] as Times[] };
  try {
    await allowLogs(sandbox, bench.namespace, reporter);
    for (let run = 0; run <= runs; run++)
      for (const kind of shuffled([...kinds])) {
        await calm();
        const { availableMs, doneMs } = await bench.deploy(optionsOf(kind));
        await bench.destroy();
        // The first round is not counted: images, and the default roles of the version.
        if (run === 0) continue;
        times[kind].push({ availableMs, doneMs });
        reporter.line(`round ${run} of ${runs}, ${kind}: ${Math.round(availableMs)} ms to AVAILABLE`);
      }
    const measured = {} as LogsReport['kinds'];
    for (const kind of kinds) {
      await bench.deploy(optionsOf(kind));
      await sleep(restSeconds * 1000);
      const { items } = await bench.cluster.pods(anyPlaneSelector);
      const atRest = await consumptionOf(items, state, seconds * 1000);
      await bench.destroy();
      const of = (name: keyof Times) => summarize(times[kind].map((each) => each[name]));
      measured[kind] = { availableMs: of('availableMs'), doneMs: of('doneMs'), atRest };
    }
    return { machine, options: deployOptions, runs, restSeconds, watchedSeconds: seconds, kinds: measured };
  } finally {
    await bench.close();
  }
}

type Times = Record<'availableMs' | 'doneMs', number>;

/** What an administrator of the infra cluster does for it, and the store's image on its nodes. */
async function allowLogs(sandbox: string, namespace: string, reporter: Reporter): Promise<void> {
  const archives = await ensureImages('logs', {}, reporter);
  const state = requireState(sandbox);
  for (const machine of state.machines.filter(({ role }) => role === 'infra'))
    await ensureImported(machine, machineFolder(state, machine), archives);
  const admin = connectByFile((await sandboxEnvironment({ name: sandbox, admin: true })).kubeconfig, namespace);
  for (const object of logRightsObjects(namespace)) await admin.apply(object);
  await admin.close();
}

/** Pure. */
export function renderLogs({ machine, options, runs, restSeconds, watchedSeconds, kinds: of }: LogsReport): string {
  const { without, kept } = of;
  const time = ({ median, minimum, maximum }: Summary) =>
    `${(median / 1000).toFixed(2)} s (${(minimum / 1000).toFixed(2)} to ${(maximum / 1000).toFixed(2)})`;
  const times = (name: string, field: keyof Times) => [
    name,
    time(without[field]),
    time(kept[field]),
    (kept[field].median / without[field].median).toFixed(2),
  ];
  const figures = ['millicores', 'anonymousMiB', 'residentMiB'] as const;
  const row = (name: string, before: Consumption | undefined, now: Consumption | undefined) => [
    name,
    ...figures.flatMap((figure) => [before, now].map((each) => each?.[figure].toFixed(1) ?? '')),
  ];
  const named = (all: PlaneConsumption, name: string) => all.components.find((each) => each.name === name);
  const names = kept.atRest.components.map(({ name }) => name);
  const own = logStore.containers.filter((name) => names.includes(name));
  return [
    machineLine(machine),
    ...(options.length > 0 ? [`deploy ${options.join(' ')}`] : []),
    `${runs} rounds of a deploy without --logs and one with it.`,
    '',
    table(
      ['', 'WITHOUT', 'WITH --logs', 'RATIO'],
      [times('deploy to AVAILABLE', 'availableMs'), times('deploy to its end', 'doneMs')],
    ),
    '',
    `At rest for ${restSeconds} s, then watched for ${watchedSeconds} s, without and with.`,
    table(
      ['', 'MILLICORES', 'WITH', 'ANONYMOUS MiB', 'WITH', 'RESIDENT MiB', 'WITH'],
      [
        ...names
          .filter((name) => !own.includes(name))
          .map((name) => row(name, named(without.atRest, name), named(kept.atRest, name))),
        ...own.map((name) => row(name, undefined, named(kept.atRest, name))),
        row('total', without.atRest.total, kept.atRest.total),
        row('pause and shims', without.atRest.runtime, kept.atRest.runtime),
      ],
    ),
  ].join('\n');
}
