import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inHostedCluster } from '../../src/live/open.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { firstInfra, requireState, type SandboxState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { type Consumption, consumptionOf, memoryOf } from './consumption.ts';
import { type MachineState, machineLine, machineState } from './machine.ts';
import { proveOwn, writeWhose } from './own.ts';
import { Bench } from './plane.ts';
import { quantile } from './statistics.ts';

/** Milliseconds of one kind of request to one plane. */
interface Latency {
  plane: number;
  request: 'create' | 'get' | 'list';
  median: number;
  p99: number;
}

/** What the infra cluster's own control plane takes. */
interface InfraCost {
  planes: number;
  apiServerMiB: number;
  etcdMiB: number;
  databaseMiB: number;
}

export interface DensityReport {
  machine: MachineState;
  options: string[];
  /** One after the other: milliseconds to AVAILABLE. */
  deployMs: number[];
  /** How many of the first planes sleep. */
  asleep: number;
  /** The last planes, deployed at once: milliseconds to AVAILABLE of each, sorted. */
  atOnceMs: number[];
  /** How many of the last planes failed at first, and succeeded when they were deployed again. */
  gaveUp: number;
  /** MiB of free memory of the box, before the first plane and after the last. */
  availableMiB: { before: number; after: number };
  /** What all planes together need at rest. */
  planes: Consumption;
  runtime: Consumption;
  infra: InfraCost[];
  latency: Latency[];
}

export interface DensityOptions {
  sandbox: string;
  planes: number;
  /** How many planes, the first ones, are put to sleep. */
  asleep: number;
  atOnce: number;
  requests: number;
  deployOptions: string[];
}

/**
 * Deploys many planes on one infra node, and measures how long the Nth deploy takes, what the planes need at rest, and how
 * quickly each plane answers while the others rest.
 *
 * @throws Error when a plane shows another one's certificates or data
 */
export async function measureDensity(options: DensityOptions, reporter: Reporter): Promise<DensityReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const before = availableMiB();
  const infra = [infraCost(state, 0)];
  const benches: Bench[] = [];
  const open = async () => {
    const bench = await Bench.open(options.sandbox, `dense-${benches.length + 1}`);
    benches.push(bench);
    return bench;
  };
  try {
    const deployMs: number[] = [];
    while (benches.length < options.planes - options.atOnce) {
      const bench = await open();
      const { availableMs } = await bench.deploy(options.deployOptions);
      deployMs.push(availableMs);
      infra.push(infraCost(state, benches.length));
      await writeWhose(bench);
      if (benches.length <= options.asleep) await bench.k8sk8s('sleep');
      reporter.line(`plane ${benches.length} of ${options.planes}: ${Math.round(availableMs)} ms`);
    }
    const together: Bench[] = [];
    for (let index = 0; index < options.atOnce; index++) together.push(await open());
    const { atOnceMs, gaveUp } = await deployTogether(together, options.deployOptions, reporter);
    infra.push(infraCost(state, benches.length));
    await proveOwn(benches);
    // Go collects the garbage of the start after two minutes at the latest (runtime.forcegcperiod).
    reporter.line('waiting 130 s until the planes are at rest');
    await sleep(130_000);
    const pods = await Promise.all(benches.map(({ cluster }) => cluster.pods(anyPlaneSelector)));
    const { total, runtime } = await consumptionOf(
      pods.flatMap(({ items }) => items),
      requireState(options.sandbox),
      30_000,
    );
    const after = availableMiB();
    const latency: Latency[] = [];
    for (const [index, bench] of benches.entries())
      if (index >= options.asleep) latency.push(...(await latencies(bench, index + 1, options.requests)));
    return {
      machine,
      options: options.deployOptions,
      deployMs,
      asleep: options.asleep,
      atOnceMs,
      gaveUp,
      availableMiB: { before, after },
      planes: total,
      runtime,
      infra,
      latency,
    };
  } finally {
    for (const bench of benches) {
      await bench.destroy();
      await bench.close();
    }
  }
}

const configMap = { apiVersion: 'v1', kind: 'ConfigMap' };

/** Deploys all at once. A deploy that fails is counted, and runs again alone, as a person would run it. */
async function deployTogether(
  benches: Bench[],
  deployOptions: string[],
  reporter: Reporter,
): Promise<Pick<DensityReport, 'atOnceMs' | 'gaveUp'>> {
  const outcomes = await Promise.allSettled(benches.map((bench) => bench.deploy(deployOptions)));
  const atOnceMs = outcomes
    .flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value.availableMs : []))
    .sort((a, b) => a - b);
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') continue;
    reporter.warn(String(outcome.reason));
    await benches[index]!.deploy(deployOptions);
  }
  for (const bench of benches) await writeWhose(bench);
  if (atOnceMs.length > 0)
    reporter.line(`${benches.length} at once: ${Math.round(atOnceMs.at(-1)!)} ms for the last one`);
  return { atOnceMs, gaveUp: benches.length - atOnceMs.length };
}

function latencies(bench: Bench, plane: number, requests: number): Promise<Latency[]> {
  return inHostedCluster(bench.cluster, async (_, hosted) => {
    const times: Record<Latency['request'], number[]> = { create: [], get: [], list: [] };
    const timed = async (request: Latency['request'], ask: () => Promise<unknown>) => {
      const from = performance.now();
      await ask();
      times[request].push(performance.now() - from);
    };
    // The first request opens the connection.
    await hosted.version();
    for (let index = 0; index < requests; index++) {
      const name = `latency-${index}`;
      const object = { ...configMap, metadata: { name, namespace: 'default' } };
      await timed('create', () => hosted.create(object));
      await timed('get', () => hosted.get(configMap, name, 'default'));
      await timed('list', () => hosted.list(configMap, { namespace: 'default' }));
    }
    return Object.entries(times).map(([request, each]) => {
      const sorted = each.sort((a, b) => a - b);
      return {
        plane,
        request: request as Latency['request'],
        median: quantile(sorted, 0.5),
        p99: quantile(sorted, 0.99),
      };
    });
  });
}

function infraCost(state: SandboxState, planes: number): InfraCost {
  const { daemons } = firstInfra(state);
  const etcd = daemons.etcd!.pid;
  const folder = /--data-dir=([^\0]+)/.exec(readFileSync(`/proc/${etcd}/cmdline`, 'utf8'))![1]!;
  return {
    planes,
    apiServerMiB: memoryOf(programOf(daemons['kube-apiserver']!.pid)).anonymousMiB,
    etcdMiB: memoryOf(programOf(etcd)).anonymousMiB,
    databaseMiB: statSync(path.join(folder, 'member', 'snap', 'db')).size / 2 ** 20,
  };
}

/** The program itself: its parent entered the machine's namespaces and waits for it. */
function programOf(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return child ? programOf(Number(child)) : pid;
}

/** Memory that the kernel can give to new programs (MemAvailable, proc_meminfo(5)). */
function availableMiB(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) / 1024;
}

/** Pure. */
export function renderDensity(report: DensityReport): string {
  const { machine, deployMs, asleep, atOnceMs, gaveUp, planes, runtime, infra, latency, availableMiB: room } = report;
  const count = deployMs.length + atOnceMs.length + gaveUp;
  const awake = count - asleep;
  const seconds = (milliseconds: number | undefined) =>
    milliseconds === undefined ? '' : `${(milliseconds / 1000).toFixed(2)} s`;
  const sorted = [...atOnceMs].sort((a, b) => a - b);
  const first = infra[0]!;
  const last = infra.at(-1)!;
  const worst = (request: Latency['request']) => {
    const own = latency.filter((each) => each.request === request);
    const p99 = own.map((each) => each.p99).sort((a, b) => a - b);
    const medians = own.map(({ median }) => median).sort((a, b) => a - b);
    return [request, ...[quantile(medians, 0.5), quantile(p99, 0.5), p99.at(-1)!].map((each) => each.toFixed(1))];
  };
  return [
    machineLine(machine),
    `${count} planes on one infra node${asleep > 0 ? `, of which ${asleep} sleep` : ''}, each with a certificate authority and data of its own: deploy ${report.options.join(' ')}`,
    '',
    table(
      ['DEPLOY TO AVAILABLE', 'TIME'],
      [
        ...deployMs.flatMap((each, index) =>
          index === 0 || (index + 1) % (count > 50 ? 10 : 5) === 0 ? [[`plane ${index + 1}`, seconds(each)]] : [],
        ),
        ...(sorted.length > 0
          ? [
              [`${sorted.length} at once, the first`, seconds(sorted[0])],
              [`${sorted.length} at once, the last`, seconds(sorted.at(-1))],
            ]
          : []),
        ...(gaveUp > 0 ? [[`gave up when ${atOnceMs.length + gaveUp} were deployed at once`, String(gaveUp)]] : []),
      ],
    ),
    '',
    table(
      ['AT REST', 'ALL', asleep > 0 ? 'A PLANE THAT IS AWAKE' : 'A PLANE'],
      [
        ['millicores', planes.millicores, planes.millicores / awake],
        ['anonymous MiB', planes.anonymousMiB, planes.anonymousMiB / awake],
        ['pause and shims, resident MiB', runtime.residentMiB, runtime.residentMiB / awake],
        ['memory of the box, MiB', room.before - room.after, (room.before - room.after) / awake],
      ].map(([name, ...figures]) => [String(name), ...figures.map((each) => Number(each).toFixed(1))]),
    ),
    '',
    table(
      ['INFRA CLUSTER', 'ALL', 'A PLANE'],
      [
        ['API server, anonymous MiB', ...perPlane(first.apiServerMiB, last.apiServerMiB, count)],
        ['etcd, anonymous MiB', ...perPlane(first.etcdMiB, last.etcdMiB, count)],
        ["etcd's database, MiB", ...perPlane(first.databaseMiB, last.databaseMiB, count)],
      ].map(([name, ...figures]) => [String(name), ...figures.map((each) => Number(each).toFixed(1))]),
    ),
    '',
    table(
      ['REQUEST, ms', 'MEDIAN', 'P99 OF THE MIDDLE PLANE', 'P99 OF THE WORST'],
      (['create', 'get', 'list'] as const).map(worst),
    ),
  ].join('\n');
}

function perPlane(before: number, after: number, count: number): [number, number] {
  return [after - before, (after - before) / count];
}
