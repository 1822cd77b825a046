import path from 'node:path';
import { loadAll } from 'js-yaml';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject, Pod, Workload } from '../../src/kube/objects.ts';
import { inHostedCluster } from '../../src/live/open.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { sandboxJoin, sandboxLeave } from '../../src/sandbox/join.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { loadState, type MachineState as Machine, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { waitFor } from '../../src/ui/wait-for.ts';
import { seededRandom } from '../faults/random.ts';
import { processInPod } from '../kill-in-pod.ts';
import { podWithWebhook } from '../pod-with-webhook.ts';
import { consumptionOf, memoryOf } from './consumption.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { Killer } from './tunnel-kills.ts';
import { type Call, type Extent, type Kill, type LoadSummary, load, summaryOf, unexplained } from './tunnel-load.ts';

interface Phase {
  name: string;
  webhook: LoadSummary;
  exec: LoadSummary;
  /** Anonymous MiB of gate and hub in all API servers' pods, and of the agent, after the calls. */
  memory: Record<string, number>;
}

export interface TunnelReport {
  machine: MachineState;
  seed: number;
  phases: Phase[];
  kills: Kill[];
  /** Failed calls by the kill that explains them, in the order of kills. */
  failures: { kill: string; count: number; errors: string[] }[];
  unexplained: Call[];
}

interface Options {
  sandbox: string;
  webhooks: number;
  execs: number;
  kills: number;
  seed: number;
}

/** Milliseconds from one kill to the next, on average: whatever was killed is back by then. */
const gap = 25_000;
/** Of all calls, the share with which ways are compared while nothing is killed. */
const compared = 0.1;

/**
 * The same calls to a worker that the API server dials, and to one that it reaches by the worker's tunnel alone; then by the tunnel while
 * worker, agent, hub and API server are killed. Every failure has to have a kill within 10 s before it.
 */
export async function measureTunnel(options: Options, reporter: Reporter): Promise<TunnelReport> {
  const state =
    loadState(options.sandbox) ?? (await sandboxUp({ name: options.sandbox, workers: 1, infraNodes: 1 }, reporter));
  const machine = machineState(state.kubernetesVersion);
  const bench = await Bench.open(options.sandbox, 'bench');
  const tunnelHost = bench.host.replace('bench.', 'bench-tunnel.');
  await sandboxHost(options.sandbox, tunnelHost);
  try {
    await bench.deploy(['--replicas', '2', '--etcd-storage', 'ephemeral']);
    const dir = path.join(bench.folder, 'tls');
    const [worker] = await sandboxJoin({ name: options.sandbox, namespace: 'bench', dir, workers: 1 }, reporter);
    const run = new Run(bench, options, worker!, reporter);
    await run.prepare();
    const share = { webhooks: options.webhooks * compared, execs: options.execs * compared };
    const phases = [await run.phase('the API server dials the worker', share)];
    await bench.k8sk8s('deploy', '--tunnel-host', tunnelHost);
    await run.close();
    phases.push(await run.phase("by the worker's tunnel", share));
    const { phase, calls, kills } = await run.underKills();
    phases.push(phase);
    const { seed } = options;
    return { machine, seed, phases, kills, failures: explained(calls, kills), unexplained: unexplained(calls, kills) };
  } finally {
    await sandboxLeave({ name: options.sandbox, namespace: 'bench' }, reporter);
    await bench.destroy();
    await bench.close();
  }
}

class Run {
  readonly #bench: Bench;
  readonly #options: Options;
  readonly #worker: Machine;
  readonly #reporter: Reporter;
  readonly #random: () => number;

  constructor(bench: Bench, options: Options, worker: Machine, reporter: Reporter) {
    this.#bench = bench;
    this.#options = options;
    this.#worker = worker;
    this.#reporter = reporter;
    this.#random = seededRandom(options.seed);
  }

  async prepare(): Promise<void> {
    const objects = loadAll(await podWithWebhook()) as KubeObject[];
    await inHostedCluster(this.#bench.cluster, async (_, hosted) => {
      for (const { metadata, ...object } of objects)
        await hosted.apply({
          ...object,
          metadata: { ...metadata, ...(isOfNamespace(object) && { namespace: 'default' }) },
        });
      await this.#until('the pod with the webhook', async () => (await webPod(hosted)) !== undefined);
    });
  }

  /** As behind NAT: nobody opens a connection to the worker. It is dialled no more, and goes when the machine is made anew. */
  async close(): Promise<void> {
    const network = `${requireState(this.#options.sandbox).network}.0/24`;
    const rule = ['-i', 'eth0', '-s', network, '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'];
    await inside(this.#worker, ['iptables', '-I', 'INPUT', ...rule]);
  }

  async phase(name: string, extent: Extent): Promise<Phase> {
    const { phase } = await this.#measure(name, extent, async () => undefined);
    return phase;
  }

  async underKills(): Promise<{ phase: Phase; calls: Call[]; kills: Kill[] }> {
    const { sandbox, webhooks, execs, kills: count } = this.#options;
    const killing = seededRandom(this.#options.seed + 1);
    let kills: Kill[] = [];
    const measured = await this.#measure(
      'by the tunnel, under kills',
      { webhooks, execs, over: count * gap },
      async (hosted) => {
        const killer = new Killer({ sandbox, worker: this.#worker.name, cluster: this.#bench.cluster, hosted });
        kills = killer.kills;
        await killer.run(count, gap, killing);
      },
    );
    return { ...measured, kills };
  }

  async #measure(
    name: string,
    extent: Extent,
    beside: (hosted: HostedCluster) => Promise<void>,
  ): Promise<{ phase: Phase; calls: Call[] }> {
    await calm();
    return inHostedCluster(this.#bench.cluster, async (_, hosted) => {
      const pod = (await webPod(hosted))!;
      const exec = async () => (await hosted.exec(pod, 'default', ['true']).catch(() => undefined))?.code === 0;
      await this.#until('a call that succeeds', exec);
      // Each API server opens its ways to the worker with the first calls.
      await load(hosted, () => pod, { webhooks: 20, execs: 10 }, this.#random);
      const [calls] = await Promise.all([load(hosted, () => pod, extent, this.#random), beside(hosted)]);
      const [webhook, execs] = [summaryOf(calls, 'webhook'), summaryOf(calls, 'exec')];
      this.#reporter.line(`${name}: ${calls.length} calls, ${webhook.failed + execs.failed} failed`);
      return { phase: { name, webhook, exec: execs, memory: await this.#memory(hosted) }, calls };
    });
  }

  async #memory(hosted: HostedCluster): Promise<Record<string, number>> {
    const state = requireState(this.#options.sandbox);
    const { items } = await this.#bench.cluster.pods(anyPlaneSelector);
    const { components } = await consumptionOf(items, state, 0);
    const beside = components.filter(({ name }) => /kube-apiserver-/.test(name));
    const options = { namespace: 'kube-system', labelSelector: 'k8s-app=k8sk8s-tunnel-agent' };
    const [agent] = (await hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, options)).items;
    const pid = agent && processInPod(agent.metadata.uid!, /agent\.mjs/);
    return {
      ...Object.fromEntries(beside.map(({ name, anonymousMiB }) => [name, anonymousMiB])),
      ...(pid !== undefined && { agent: memoryOf(pid).anonymousMiB }),
    };
  }

  async #until(what: string, reached: () => Promise<boolean>): Promise<void> {
    const late = (after: string) => new Error(`${what} is not there after ${after}`);
    await waitFor({ until: reached, timeout: 180_000, every: 500, late });
  }
}

const isOfNamespace = ({ kind }: Pick<KubeObject, 'kind'>): boolean => kind !== 'ValidatingWebhookConfiguration';

async function webPod(hosted: HostedCluster): Promise<string | undefined> {
  const kind = { apiVersion: 'apps/v1', kind: 'Deployment' };
  if (!((await hosted.get<Workload>(kind, 'web', 'default'))?.status?.readyReplicas ?? 0)) return undefined;
  const options = { namespace: 'default', labelSelector: 'app=web' };
  const { items } = await hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, options);
  return items.find(({ metadata }) => !metadata.deletionTimestamp)?.metadata.name;
}

/** Pure. */
function explained(calls: Call[], kills: Kill[]): TunnelReport['failures'] {
  const own = (index: number) => {
    const [from, to] = [kills[index]!.at, kills[index + 1]?.at ?? Number.POSITIVE_INFINITY];
    return calls.filter(({ at, ms, error }) => error !== undefined && at + ms >= from && at + ms < to);
  };
  return kills.map(({ what }, index) => {
    const failed = own(index);
    return { kill: what, count: failed.length, errors: [...new Set(failed.map(({ error }) => error!))].slice(0, 3) };
  });
}

/** Pure. */
export function renderTunnel({ machine, seed, phases, kills, failures, unexplained }: TunnelReport): string {
  const figures = ({ count, failed, median, p99, throughput }: LoadSummary) => [
    `${count}, ${failed}`,
    median.toFixed(0),
    p99.toFixed(0),
    throughput.toFixed(1),
  ];
  const rows = phases.flatMap((phase) =>
    (['webhook', 'exec'] as const).map((kind) => [phase.name, kind, ...figures(phase[kind])]),
  );
  const memory = phases.map(({ name, memory }) => {
    const each = Object.entries(memory).map(([program, mib]) => `${program} ${mib.toFixed(0)}`);
    return `  ${name}: ${each.join(', ')}`;
  });
  const explanations = failures.map(({ kill, count, errors }, index) => [
    `${((kills[index]!.at - kills[0]!.at) / 1000).toFixed(0)} s`,
    kill,
    String(count),
    errors.map((error) => error.split('\n')[0]!.slice(0, 100)).join(' | '),
  ]);
  return [
    machineLine(machine),
    `Two API servers, one worker; seed ${seed}, ${kills.length} kills.`,
    '',
    table(['WAY', 'CALLS', 'COUNT, FAILED', 'MEDIAN ms', 'P99 ms', 'A SECOND'], rows),
    '',
    'Memory after the calls, anonymous MiB, of all API servers together:',
    ...memory,
    '',
    table(['KILLED AFTER', 'WHAT', 'FAILED CALLS', 'FOR EXAMPLE'], explanations),
    '',
    unexplained.length === 0
      ? 'Every failure has a kill within 10 s before it.'
      : `${unexplained.length} failures without a kill within 10 s before them: ${unexplained
          .slice(0, 5)
          .map(({ at, kind, error }) => `${kind} at ${new Date(at).toISOString()}: ${error}`)
          .join('; ')}`,
  ].join('\n');
}
