import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { firstInfra, requireState, type SandboxState } from '../sandbox/state.ts';
import { sandboxUp } from '../sandbox/up.ts';
import { inHostedCluster } from '../src/hosted.ts';
import type { ConfigMap } from '../src/kube/objects.ts';
import { anyPlaneSelector } from '../src/plane/names.ts';
import type { Reporter } from '../src/ui/reporter.ts';
import { table } from '../src/ui/table.ts';
import { type Consumption, consumptionOf, memoryOf } from './consumption.ts';
import { type MachineState, machineLine, machineState } from './machine.ts';
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
  /** The last ones, all at once: milliseconds to AVAILABLE of each, sorted. */
  atOnceMs: number[];
  /** MiB that the box has left, before the first plane and after the last. */
  availableMiB: { before: number; after: number };
  /** Of all planes together, at rest. */
  planes: Consumption;
  runtime: Consumption;
  infra: InfraCost[];
  latency: Latency[];
}

export interface DensityOptions {
  sandbox: string;
  planes: number;
  atOnce: number;
  requests: number;
  deployOptions: string[];
}

/**
 * Many planes on one infra node: how long the Nth takes, what they take at rest, and how quickly each answers while the
 * others rest.
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
      const { availableMs } = await (await open()).deploy(options.deployOptions);
      deployMs.push(availableMs);
      infra.push(infraCost(state, benches.length));
      reporter.line(`plane ${benches.length} of ${options.planes}: ${Math.round(availableMs)} ms`);
    }
    const together: Bench[] = [];
    for (let index = 0; index < options.atOnce; index++) together.push(await open());
    const deployed = await Promise.all(together.map((bench) => bench.deploy(options.deployOptions)));
    const atOnceMs = deployed.map(({ availableMs }) => availableMs).sort((a, b) => a - b);
    if (options.atOnce > 0) reporter.line(`${options.atOnce} at once: ${Math.round(atOnceMs.at(-1)!)} ms for the last`);
    infra.push(infraCost(state, benches.length));
    await proveOwn(benches);
    // Garbage of the start is collected after two minutes at the latest (runtime.forcegcperiod).
    reporter.line('130 s for the planes to come to rest');
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
      latency.push(...(await latencies(bench, index + 1, options.requests)));
    return {
      machine,
      options: options.deployOptions,
      deployMs,
      atOnceMs,
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

const whose = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'whose', namespace: 'default' } };

/** Every plane has an authority of its own, and gives back what was written to it and to no other. */
async function proveOwn(benches: Bench[]): Promise<void> {
  const authorities = await Promise.all(
    benches.map((bench) =>
      inHostedCluster(bench.cluster, async ({ bundle }, hosted) => {
        await hosted.apply({ ...whose, data: { host: bench.host } } as ConfigMap);
        return bundle.authorities.ca!.certificate;
      }),
    ),
  );
  if (new Set(authorities).size !== benches.length) throw new Error('two planes have the same certificate authority');
  for (const bench of benches)
    await inHostedCluster(bench.cluster, async (_, hosted) => {
      const found = await hosted.get<ConfigMap>(whose, whose.metadata.name, whose.metadata.namespace);
      if (found?.data?.host !== bench.host) throw new Error(`${bench.host} gives back ${JSON.stringify(found?.data)}`);
    });
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
      const object = { ...whose, metadata: { name, namespace: 'default' } };
      await timed('create', () => hosted.create(object));
      await timed('get', () => hosted.get(whose, name, 'default'));
      await timed('list', () => hosted.list(whose, { namespace: 'default' }));
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

/** The program behind what brought it into its machine's namespaces, which waits for it. */
function programOf(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return child ? programOf(Number(child)) : pid;
}

/** What the kernel thinks could be given to new programs (proc_meminfo(5)). */
function availableMiB(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) / 1024;
}

/** Pure. */
export function renderDensity(report: DensityReport): string {
  const { machine, deployMs, atOnceMs, planes, runtime, infra, latency, availableMiB: room } = report;
  const count = deployMs.length + atOnceMs.length;
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
    `${count} planes on one infra node, each with a certificate authority and data of its own: deploy ${report.options.join(' ')}`,
    '',
    table(
      ['DEPLOY TO AVAILABLE', 'TIME'],
      [
        ...deployMs.flatMap((each, index) =>
          index === 0 || (index + 1) % 5 === 0 ? [[`plane ${index + 1}`, seconds(each)]] : [],
        ),
        ...(sorted.length > 0
          ? [
              [`${sorted.length} at once, the first`, seconds(sorted[0])],
              [`${sorted.length} at once, the last`, seconds(sorted.at(-1))],
            ]
          : []),
      ],
    ),
    '',
    table(
      ['AT REST', 'ALL', 'A PLANE'],
      [
        ['millicores', planes.millicores, planes.millicores / count],
        ['anonymous MiB', planes.anonymousMiB, planes.anonymousMiB / count],
        ['pause and shims, resident MiB', runtime.residentMiB, runtime.residentMiB / count],
        ['memory of the box, MiB', room.before - room.after, (room.before - room.after) / count],
        ["infra API server's, anonymous MiB", ...perPlane(first.apiServerMiB, last.apiServerMiB, count)],
        ["infra etcd's, anonymous MiB", ...perPlane(first.etcdMiB, last.etcdMiB, count)],
        ["infra etcd's database, MiB", ...perPlane(first.databaseMiB, last.databaseMiB, count)],
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
