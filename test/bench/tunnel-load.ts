import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/base/errors.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { refusal, refusedName } from '../pod-with-webhook.ts';
import { quantile } from './statistics.ts';

/** A call that the API server carries out by way of a worker. */
export interface Call {
  kind: 'webhook' | 'exec';
  /** Milliseconds since 1970. */
  at: number;
  ms: number;
  /** What came instead of the right answer. */
  error?: string;
}

export interface Extent {
  webhooks: number;
  execs: number;
  /** Milliseconds over which the calls are spread; without it, each client asks again at once. */
  over?: number;
}

/** Clients of each kind at a time. */
const clients = { webhook: 4, exec: 2 };
/** Milliseconds after which a call counts as one that hangs. */
const patience = 20_000;
/** A client that was told an error asks again after so many milliseconds: a plane that is away would be asked all calls at once. */
const afterError = 250;

/** @param pod of the Deployment web */
export async function load(
  hosted: HostedCluster,
  pod: () => string,
  extent: Extent,
  random: () => number,
): Promise<Call[]> {
  const calls: Call[] = [];
  const started = performance.now();
  const client = async (kind: Call['kind'], share: number[]) => {
    for (const moment of share) {
      await sleep(Math.max(0, started + moment - performance.now()));
      const at = Date.now();
      const from = performance.now();
      const error = await (kind === 'webhook' ? askWebhook(hosted, random) : askExec(hosted, pod())).catch(messageOf);
      calls.push({ kind, at, ms: performance.now() - from, ...(error !== undefined && { error }) });
      if (error !== undefined) await sleep(afterError);
    }
  };
  const moments = (count: number) => Array.from({ length: count }, (_, index) => ((extent.over ?? 0) * index) / count);
  const shares = (kind: Call['kind'], count: number) =>
    Array.from({ length: clients[kind] }, (_, own) =>
      client(
        kind,
        moments(count).filter((_, index) => index % clients[kind] === own),
      ),
    );
  await Promise.all([...shares('webhook', extent.webhooks), ...shares('exec', extent.execs)]);
  return calls;
}

/** Half of the names are such as the webhook refuses, so that an API server which asks nobody is found out. @returns what is wrong */
async function askWebhook(hosted: HostedCluster, random: () => number): Promise<string | undefined> {
  const refused = random() < 0.5;
  const name = refused ? refusedName : `asked-${Math.floor(random() * 1e9)}`;
  const object: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } };
  try {
    await hosted.tryCreate(object);
  } catch (error) {
    if (refused && error instanceof ApiError && error.message.includes(refusal)) return undefined;
    throw error;
  }
  return refused ? 'the webhook was not asked' : undefined;
}

async function askExec(hosted: HostedCluster, pod: string): Promise<string | undefined> {
  const text = `said at ${Date.now()}`;
  const signal = AbortSignal.timeout(patience);
  const { code, stdout, stderr } = await hosted.exec(pod, 'default', ['echo', text], { signal, timeout: patience });
  return code === 0 && stdout.trim() === text ? undefined : `exit code ${code}: ${stdout}${stderr}`;
}

export interface Kill {
  what: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** Milliseconds after a kill in which it explains a failure. */
const explains = 10_000;

/** Calls that failed and began more than 10 s after the last kill before their end. Pure. */
export function unexplained(calls: Call[], kills: Kill[]): Call[] {
  return calls.filter(
    ({ at, ms, error }) => error !== undefined && !kills.some((kill) => kill.at <= at + ms && at - kill.at <= explains),
  );
}

export interface LoadSummary {
  count: number;
  failed: number;
  /** Of those that succeeded, milliseconds. */
  median: number;
  p99: number;
  /** Calls a second. */
  throughput: number;
}

/** Pure. */
export function summaryOf(calls: Call[], kind: Call['kind']): LoadSummary {
  const own = calls.filter((call) => call.kind === kind);
  const took = own.filter(({ error }) => error === undefined).map(({ ms }) => ms);
  const sorted = took.sort((one, other) => one - other);
  const from = Math.min(...own.map(({ at }) => at));
  const to = Math.max(...own.map(({ at, ms }) => at + ms));
  return {
    count: own.length,
    failed: own.length - took.length,
    median: sorted.length > 0 ? quantile(sorted, 0.5) : 0,
    p99: sorted.length > 0 ? quantile(sorted, 0.99) : 0,
    throughput: (took.length / (to - from)) * 1000,
  };
}
