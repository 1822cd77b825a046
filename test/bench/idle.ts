import { setTimeout as sleep } from 'node:timers/promises';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { sandboxWorkerImage } from '../../src/sandbox/worker-pods.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { allowPrivilegedPods } from '../privileged-namespace.ts';
import { type Consumption, consumptionOf, consumptionOfProcesses, type PlaneConsumption } from './consumption.ts';
import { Floor } from './floor.ts';
import { type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';

export interface IdleReport {
  machine: MachineState;
  /** Seconds between the start and the measurement, and seconds of the measurement. */
  restSeconds: number;
  watchedSeconds: number;
  planes: { profile: string; options: string[]; consumption: PlaneConsumption }[];
  /** etcd and kube-apiserver as bare processes with the flags of the floor, on the same box in the same run. */
  bare: PlaneConsumption;
}

/**
 * Measures what a plane, with so many worker pods or none, needs while no client sends requests, for each profile, and the same of its two largest
 * components as bare processes.
 */
export async function measureIdle(
  options: { sandbox: string; profiles: string[]; seconds: number; workerPods: number; deployOptions: string[] },
  reporter: Reporter,
): Promise<IdleReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  // Go collects the garbage of the start after two minutes at the latest (runtime.forcegcperiod).
  const restSeconds = 2 * options.seconds + 10;
  const floor = await Floor.prepare(state.kubernetesVersion, reporter);
  const report: IdleReport = {
    machine: machineState(state.kubernetesVersion),
    restSeconds,
    watchedSeconds: options.seconds,
    planes: [],
    bare: await floor.run(async ({ pids: [etcd, apiServer] }) => {
      await sleep(restSeconds * 1000);
      const processes = [
        { name: 'etcd', pid: etcd! },
        { name: 'kube-apiserver', pid: apiServer! },
      ];
      return consumptionOfProcesses(processes, options.seconds * 1000);
    }),
  };
  const workers = await workerPodOptions(options.sandbox, options.workerPods, reporter);
  const bench = await Bench.open(options.sandbox, 'bench');
  try {
    for (const profile of options.profiles) {
      await bench.deploy(['--profile', profile, ...workers, ...options.deployOptions]);
      try {
        await sleep(report.restSeconds * 1000);
        const { items } = await bench.cluster.pods(anyPlaneSelector);
        const consumption = await consumptionOf(items, state, options.seconds * 1000);
        report.planes.push({ profile, options: [...workers, ...options.deployOptions], consumption });
      } finally {
        await bench.destroy();
      }
    }
  } finally {
    await bench.close();
  }
  return report;
}

/** They are in the row `worker-pod`, together with all that runs in them: kubelet, containerd, flannel, kube-proxy, CoreDNS. */
export async function workerPodOptions(sandbox: string, workerPods: number, reporter: Reporter): Promise<string[]> {
  if (workerPods === 0) return [];
  const image = await sandboxWorkerImage(sandbox, reporter);
  await sandboxEnvironment({ name: sandbox, namespace: 'bench' });
  await allowPrivilegedPods(sandbox, 'bench');
  return ['--worker-pods', String(workerPods), '--worker-image', image];
}

/** Pure. */
export function renderIdle(report: IdleReport): string {
  const row = ({ name, anonymousMiB, residentMiB, millicores }: Consumption) => [
    name,
    millicores.toFixed(1),
    anonymousMiB.toFixed(0),
    residentMiB.toFixed(0),
  ];
  const figures = (title: string, consumptions: Consumption[]) => [
    '',
    table([title, 'MILLICORES', 'ANONYMOUS MiB', 'RESIDENT MiB'], consumptions.map(row)),
  ];
  return [
    machineLine(report.machine),
    `At rest for ${report.restSeconds} s, then watched for ${report.watchedSeconds} s.`,
    ...figures('BARE PROCESSES', [...report.bare.components, report.bare.total]),
    ...report.planes.flatMap(({ profile, options, consumption: { components, total, runtime } }) =>
      figures(['PROFILE', profile, ...options].join(' '), [...components, total, runtime]),
    ),
  ].join('\n');
}
