import { Readable } from 'node:stream';
import { linesOf } from '../base/lines.ts';
import { connectHosted } from '../kube/connect.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod, Secret } from '../kube/objects.ts';
import { trusted, unlocked } from '../pki/authority.ts';
import { administrator, type PkiBundle } from '../pki/certificates.ts';
import { authoritiesSecret } from '../plane/names.ts';
import { readBundle } from '../plane/secrets.ts';
import { podsOf } from './pods.ts';

/** What one API server was asked since it started. */
export interface ApiUsage {
  /** Which process says so. */
  instance: string;
  /** Requests of people and programs that are no part of the plane. */
  requests: number;
  /** Sessions that go on now, which were counted as requests when they began: exec, attach, logs. */
  open: number;
}

/**
 * FlowSchemas whose requests are no use: those that Kubernetes has for its own components, for nodes, service accounts and probes
 * (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/), `exempt` for k8sk8s in system:masters, and the two of
 * src/hosted/addons/access.yaml. A FlowSchema of the tenant's takes people out of `global-default`, so what others count is use.
 */
export const flowSchemasWithoutUse = new Set([
  'exempt',
  'probes',
  'system-leader-election',
  'system-node-high',
  'system-nodes',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-system-service-accounts',
  'service-accounts',
  'k8sk8s-own',
  'k8sk8s-unauthenticated',
]);

/** Bytes: an API server says 2 to 3 MiB of itself. */
const longest = 16 << 20;

/** A plane has 5 API servers at most, and as many that are about to replace them; whoever may make pods may make any number with their labels. */
const most = 10;

/** Milliseconds for one API server. */
const patience = 10_000;

/**
 * What each API server of a plane was asked. Service accounts, nodes, the plane's own components, k8sk8s itself and whoever shows no
 * credential are not counted: src/hosted/addons/access.yaml.
 *
 * @throws UserError `seal-file`: who has no sealed key acts as a person does, and would be taken for one
 */
export async function readUsage(cluster: InfraCluster, planeId: string, signal: AbortSignal): Promise<ApiUsage[]> {
  const [secret, pods] = await Promise.all([
    cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, authoritiesSecret),
    podsOf(cluster, planeId, 'kube-apiserver'),
  ]);
  const bundle = secret && readBundle([secret]);
  const running = pods.filter(({ status, metadata }) => status?.phase === 'Running' && !metadata.deletionTimestamp);
  if (!bundle?.authorities.ca || running.length === 0) throw new Error('no API server of the plane runs');
  if (running.length > most) throw new Error(`${running.length} pods have the labels of an API server`);
  unlocked(bundle.authorities.ca);
  return Promise.all(running.map((pod) => readUsageOfPod(cluster, bundle, pod, signal)));
}

async function readUsageOfPod(
  cluster: InfraCluster,
  bundle: PkiBundle,
  pod: Pod,
  signal: AbortSignal,
): Promise<ApiUsage> {
  const hosted = connectHosted({
    // In the certificate of every API server, under whatever other names people reach it.
    server: 'https://kubernetes',
    certificateAuthority: trusted(bundle.authorities.ca!),
    client: await administrator(bundle),
    dial: () => cluster.forward(pod.metadata.name, portOf(pod), signal),
  });
  try {
    return await readUsageFrom(hosted, signal);
  } finally {
    await hosted.close();
  }
}

function portOf({ spec }: Pod): number {
  const container = spec.containers.find(({ name }) => name === 'kube-apiserver') as
    | { ports?: { name?: string; containerPort: number }[] }
    | undefined;
  return container?.ports?.find(({ name }) => name === 'https')?.containerPort ?? 6443;
}

/** What the API server behind a connection says of itself; it is read line by line, and not held. */
export async function readUsageFrom(hosted: HostedCluster, signal: AbortSignal): Promise<ApiUsage> {
  const ended = new AbortController();
  const limit = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(patience)]);
  const asked: ApiUsage & { isCounting?: true } = { instance: '', requests: 0, open: 0 };
  try {
    const stream = await hosted.transport.stream({
      method: 'GET',
      path: '/metrics',
      accept: 'text/plain',
      signal: limit,
    });
    for await (const line of linesOf(Readable.from(upTo(longest, stream), { objectMode: false }))) take(asked, line);
  } finally {
    ended.abort();
  }
  const { isCounting, ...found } = asked;
  if (found.instance === '') throw new Error('the API server says nothing of itself');
  // With --enable-priority-and-fairness=false nobody's requests are counted. This one would be.
  if (!isCounting) throw new Error('the API server does not count requests by FlowSchema');
  return found;
}

/** Whoever stands in the API server's place may send without an end, and without a line's. */
async function* upTo(bytes: number, stream: Readable): AsyncGenerator<Buffer> {
  let read = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read > bytes) throw new Error(`the metrics are longer than ${bytes >> 20} MiB`);
    yield chunk;
  }
}

function take(asked: ApiUsage & { isCounting?: true }, line: string): void {
  const started = /^process_start_time_seconds (\S{1,32})$/.exec(line);
  if (started) asked.instance = started[1]!;
  else if (line.startsWith('apiserver_flowcontrol_dispatched_requests_total{')) {
    asked.isCounting = true;
    const [, flowSchema] = /[{,]flow_schema="([^"]*)"/.exec(line) ?? [];
    if (!flowSchemasWithoutUse.has(flowSchema!)) asked.requests += figureOf(line);
  } else if (line.startsWith('apiserver_longrunning_requests{')) {
    // Port-forward is not told apart from what the gate opens for webhooks; who begins one asks for the pod first.
    if (/subresource="(exec|attach|log)"/.test(line)) asked.open += figureOf(line);
  }
}

function figureOf(line: string): number {
  const value = Number(line.slice(line.lastIndexOf(' ') + 1));
  return Number.isFinite(value) ? value : 0;
}

/** A word for what was asked, to compare it with what is asked later, also by another process of k8sk8s. Pure. */
export function wordOf(asked: ApiUsage[]): string {
  return asked
    .map(({ instance, requests }) => `${instance}=${requests}`)
    .sort()
    .join(' ');
}

/** Whether somebody used the plane since `before`; an API server that was not there then may have served anybody. Pure. */
export function wasUsed(before: string | undefined, asked: ApiUsage[]): boolean {
  if (before === undefined || asked.some(({ open }) => open > 0)) return true;
  const known = new Set(before.split(' '));
  return asked.some(({ instance, requests }) => !known.has(`${instance}=${requests}`));
}
