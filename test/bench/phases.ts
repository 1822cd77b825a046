import type { Line } from './run.ts';

/** A piece of a deploy's way, in milliseconds since its command was started. Pieces may lie beside each other. */
export interface Phase {
  name: string;
  from: number;
  to: number;
}

/** What is known of a plane's containers. Milliseconds since the command was started. */
export interface ContainerTimes {
  /** First line of its log: the program runs. */
  runs?: number;
  /** It said itself that it serves. */
  serves?: number;
}

/**
 * The waterfall of a `deploy --verbose`: from what it said when, and from its containers' logs. A phase whose end was
 * not seen is left out. Pure.
 */
export function phasesOf(lines: Line[], containers: Record<string, ContainerTimes>, end: number): Phase[] {
  const last = (pattern: RegExp, before = end) =>
    lines.findLast(({ at, text }) => at <= before && pattern.test(text))?.at;
  const first = (pattern: RegExp) => lines.find(({ text }) => pattern.test(text))?.at;
  const began = first(/./);
  const preflight = last(/^CHECK: /);
  const certificates = last(/^certificate \S+ issued/);
  const address = last(/^(service|ingress) "[^"]+" created/, first(/^certificate \S+ issued/));
  const etcdApplied = first(/^statefulset "etcd" created/);
  const etcdPlaced = first(/etcd: starting /) ?? etcdApplied;
  const available = first(/^AVAILABLE !/);
  const file = first(/^file "/);
  const childAssets = lines.findLast(
    ({ at, text }) => /^[a-z]+ "[^"]+" created/.test(text) && at > (available ?? 0) && at < (file ?? end),
  )?.at;
  const { etcd, 'kube-apiserver': apiserver } = containers;
  const rows: [string, number | undefined, number | undefined][] = [
    ['process start', 0, began],
    ['preflight', began, preflight],
    ['address', preflight, address],
    ['certificates', address, certificates],
    ['apply', certificates, etcdApplied],
    ['etcd: node and volume', etcdApplied, etcdPlaced],
    ['etcd: pod and container', etcdPlaced, etcd?.runs],
    ['etcd: serves', etcd?.runs, etcd?.serves],
    ['API server: pod and container', first(/^deployment "kube-apiserver" created/), apiserver?.runs],
    ['API server: serves', apiserver?.runs, apiserver?.serves],
    ['API server: ready', apiserver?.serves, available],
    ['child assets', available, childAssets],
    ['kubeconfigs', childAssets, last(/^file "/)],
    ['all components ready', last(/^file "/), end],
  ];
  return rows.flatMap(([name, from, to]) => (from === undefined || to === undefined ? [] : [{ name, from, to }]));
}

/** When a log's line, with the kubelet's time before it, was written. @param started wall clock of the command's start */
export function logTime(log: string, pattern: RegExp, started: number): number | undefined {
  const line = log.split('\n').find((each) => pattern.test(each));
  const time = Date.parse(line?.split(' ', 1)[0] ?? '');
  return Number.isNaN(time) ? undefined : time - started;
}
