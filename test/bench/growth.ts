import pLimit from 'p-limit';
import { connectHosted, type HostedAccess } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { ConfigMap } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { administrator } from '../../src/pki/certificates.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { consumptionOf, memoryOf } from './consumption.ts';
import { Floor } from './floor.ts';
import { runHollowPods } from './hollow.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { quantile, type Summary, shuffled, summarize } from './statistics.ts';

/** One round of work in one cluster. */
interface Work {
  /** ConfigMaps made in a second, by several clients at once. */
  createsPerSecond: number;
  /** Milliseconds, 99th percentile of the creates. */
  createP99: number;
  /** Milliseconds of one get while no other client sends requests, median. */
  get: number;
  /** Milliseconds to list all ConfigMaps, 500 on a page. */
  listAll: number;
  /** How many pods on a hollow node become Running in a second; each is created through the API and reported by a kubelet. */
  podsPerSecond: number;
  /** MiB of heaps and stacks of etcd and API server afterwards. */
  anonymousMiB: number;
}

const figures = ['createsPerSecond', 'createP99', 'get', 'listAll', 'podsPerSecond', 'anonymousMiB'] as const;

export interface GrowthReport {
  machine: MachineState;
  objects: number;
  pods: number;
  runs: number;
  /** `bare` and the profiles. */
  clusters: { name: string; summary: Record<(typeof figures)[number], Summary> }[];
}

/** Clients at the same time: as many as a few controllers have requests in flight. */
const clients = 16;
const namespace = 'default';
const kind = { apiVersion: 'v1', kind: 'ConfigMap' };

/** Does the same work in bare processes and in planes of each profile, in random order, round by round. */
export async function measureGrowth(
  options: { sandbox: string; objects: number; pods: number; runs: number; profiles: string[] },
  reporter: Reporter,
): Promise<GrowthReport> {
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const floor = await Floor.prepare(state.kubernetesVersion, reporter);
  const { kubemark } = await ensureBinaries(['kubemark'], { kubernetesVersion: state.kubernetesVersion }, reporter);
  const amount = { objects: options.objects, pods: options.pods, kubemark };
  const bench = await Bench.open(options.sandbox, 'bench');
  const names = ['bare', ...options.profiles];
  const measured = new Map<string, Work[]>(names.map((name) => [name, []]));
  try {
    for (let run = 1; run <= options.runs; run++)
      for (const name of shuffled(names)) {
        await calm();
        const work =
          name === 'bare' ? await inBare(floor, amount) : await inPlane(bench, name, options.sandbox, amount);
        measured.get(name)!.push(work);
        reporter.line(
          `run ${run} of ${options.runs}, ${name}: ${work.createsPerSecond.toFixed(0)} creates and ${work.podsPerSecond.toFixed(1)} pods a second, ${work.anonymousMiB.toFixed(0)} MiB`,
        );
      }
  } finally {
    await bench.close();
  }
  return {
    machine,
    objects: options.objects,
    pods: options.pods,
    runs: options.runs,
    clusters: [...measured].map(([name, works]) => ({
      name,
      summary: Object.fromEntries(
        figures.map((figure) => [figure, summarize(works.map((work) => work[figure]))]),
      ) as Record<(typeof figures)[number], Summary>,
    })),
  };
}

/** The work for each cluster, and the program that stands in for a kubelet. */
interface Amount {
  objects: number;
  pods: number;
  kubemark: string;
}

function inBare(floor: Floor, amount: Amount): Promise<Work> {
  return floor.run(async ({ access, pids }) => {
    const done = await inCluster(access, amount, async (cluster) => {
      // The bare processes have no controller-manager, which would make this.
      await cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
    });
    return { ...done, anonymousMiB: pids.reduce((sum, pid) => sum + memoryOf(pid).anonymousMiB, 0) };
  });
}

async function inPlane(bench: Bench, profile: string, sandbox: string, amount: Amount): Promise<Work> {
  await bench.deploy(['--profile', profile, '--egress', 'none', '--etcd-storage', 'ephemeral']);
  try {
    const { addresses, bundle } = await openPlane(bench.cluster);
    const access = {
      server: addresses.publicServer,
      certificateAuthority: bundle.authorities.ca!.certificate,
      client: await administrator(bundle),
    };
    const done = await inCluster(access, amount);
    const { items } = await bench.cluster.pods(anyPlaneSelector);
    const { components } = await consumptionOf(items, requireState(sandbox), 0);
    const compared = components.filter(({ name }) => name === 'etcd' || name === 'kube-apiserver');
    return { ...done, anonymousMiB: compared.reduce((sum, { anonymousMiB }) => sum + anonymousMiB, 0) };
  } finally {
    await bench.destroy();
  }
}

async function inCluster(
  access: HostedAccess,
  { objects, pods, kubemark }: Amount,
  prepare?: (cluster: HostedCluster) => Promise<void>,
): Promise<Omit<Work, 'anonymousMiB'>> {
  const cluster = connectHosted(access);
  try {
    await prepare?.(cluster);
    const done = await work(cluster, objects);
    return { ...done, podsPerSecond: await runHollowPods(kubemark, access, cluster, pods) };
  } finally {
    await cluster.close();
  }
}

async function work(cluster: HostedCluster, objects: number): Promise<Omit<Work, 'podsPerSecond' | 'anonymousMiB'>> {
  const limit = pLimit(clients);
  const data = { text: 'x'.repeat(1000) };
  const creates: number[] = [];
  const from = performance.now();
  await Promise.all(
    Array.from({ length: objects }, (_, index) =>
      limit(async () => {
        const object: ConfigMap = { ...kind, metadata: { name: `grow-${index}`, namespace }, data };
        creates.push(await milliseconds(() => cluster.create(object)));
      }),
    ),
  );
  const took = performance.now() - from;
  const gets: number[] = [];
  for (let index = 0; index < 200; index++)
    gets.push(await milliseconds(() => cluster.get(kind, `grow-${index % objects}`, namespace)));
  const listAll = await milliseconds(() => cluster.names(kind));
  return {
    createsPerSecond: (objects / took) * 1000,
    createP99: quantile(sorted(creates), 0.99),
    get: quantile(sorted(gets), 0.5),
    listAll,
  };
}

async function milliseconds(ask: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await ask();
  return performance.now() - from;
}

function sorted(values: number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

/** Pure. */
export function renderGrowth({ machine, objects, pods, runs, clusters }: GrowthReport): string {
  const bare = clusters.find(({ name }) => name === 'bare')!;
  const cell = (cluster: GrowthReport['clusters'][number], figure: (typeof figures)[number]) => {
    const { median } = cluster.summary[figure];
    const ratio = (median / bare.summary[figure].median).toFixed(2);
    return `${median.toFixed(figure === 'get' || figure === 'podsPerSecond' ? 1 : 0)}${cluster === bare ? '' : ` (${ratio})`}`;
  };
  return [
    machineLine(machine),
    `${objects} ConfigMaps of 1 kB, made by ${clients} clients, then ${pods} pods on one hollow node; medians of ${runs} runs, and their ratio to the bare processes.`,
    '',
    table(
      [
        '',
        'CREATES A SECOND',
        'CREATE P99 ms',
        'GET ms',
        'LIST ALL ms',
        'PODS A SECOND',
        'ETCD AND API SERVER, ANONYMOUS MiB',
      ],
      clusters.map((cluster) => [cluster.name, ...figures.map((figure) => cell(cluster, figure))]),
    ),
  ].join('\n');
}
