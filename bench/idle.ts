import { setTimeout as sleep } from 'node:timers/promises';
import { sandboxUp } from '../sandbox/up.ts';
import { anyPlaneSelector } from '../src/plane/names.ts';
import type { Reporter } from '../src/ui/reporter.ts';
import { table } from '../src/ui/table.ts';
import { type Consumption, consumptionOf, type PlaneConsumption } from './consumption.ts';
import { type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';

export interface IdleReport {
  machine: MachineState;
  /** Seconds that the plane had to come to rest, and seconds that were watched. */
  restSeconds: number;
  watchedSeconds: number;
  planes: { profile: string; options: string[]; consumption: PlaneConsumption }[];
}

/** What a plane without workers takes when nobody asks anything of it, for each profile. */
export async function measureIdle(
  options: { sandbox: string; profiles: string[]; seconds: number; deployOptions: string[] },
  reporter: Reporter,
): Promise<IdleReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  const report: IdleReport = {
    machine: machineState(state.kubernetesVersion),
    restSeconds: 2 * options.seconds + 10,
    watchedSeconds: options.seconds,
    planes: [],
  };
  const bench = await Bench.open(options.sandbox, 'bench');
  try {
    for (const profile of options.profiles) {
      await bench.deploy(['--profile', profile, ...options.deployOptions]);
      try {
        // Garbage of the start is collected two minutes after it at the latest, whatever else happens (runtime.forcegcperiod).
        await sleep(report.restSeconds * 1000);
        const { items } = await bench.cluster.pods(anyPlaneSelector);
        const consumption = await consumptionOf(items, state, options.seconds * 1000);
        report.planes.push({ profile, options: options.deployOptions, consumption });
      } finally {
        await bench.destroy();
      }
    }
  } finally {
    await bench.close();
  }
  return report;
}

/** Pure. */
export function renderIdle(report: IdleReport): string {
  const row = ({ name, anonymousMiB, residentMiB, millicores }: Consumption) => [
    name,
    millicores.toFixed(1),
    anonymousMiB.toFixed(0),
    residentMiB.toFixed(0),
  ];
  return [
    machineLine(report.machine),
    `At rest for ${report.restSeconds} s, then watched for ${report.watchedSeconds} s, no workers.`,
    ...report.planes.flatMap(({ profile, options, consumption }) => [
      '',
      table(
        [
          `PROFILE ${profile}${options.length > 0 ? ` ${options.join(' ')}` : ''}`,
          'MILLICORES',
          'ANONYMOUS MiB',
          'RESIDENT MiB',
        ],
        [...consumption.components, consumption.total, consumption.runtime].map(row),
      ),
    ]),
  ].join('\n');
}
