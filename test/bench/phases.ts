import type { StepTime } from '../../src/rollout/steps.ts';

/** A part of a deploy, in milliseconds since the start of its command. Parts may overlap. */
export interface Phase {
  name: string;
  from: number;
  to: number;
}

/** What is known of a plane's containers. Milliseconds since the command was started. */
export interface ContainerTimes {
  /** First line of its log: the program runs. */
  runs?: number;
  /** Its log says that it serves. */
  serves?: number;
}

/**
 * The waterfall of a deploy: from the times of its steps, as `deploy --output json` tells them, and from its containers' logs.
 * A phase whose end was not seen is left out. Pure.
 *
 * @param began when the command printed its first line
 */
export function phasesOf(
  { began, end, steps }: { began: number | undefined; end: number; steps: StepTime[] },
  containers: Record<string, ContainerTimes>,
): Phase[] {
  const step = (name: string) => steps.find((each) => each.name === name);
  const { etcd, 'kube-apiserver': apiserver } = containers;
  const made = step('control-plane');
  const available = step('available')?.to;
  const rows: [string, number | undefined, number | undefined][] = [
    ['process start', 0, began],
    ['preflight', began, steps[0]?.from],
    ['address', step('addresses')?.from, step('addresses')?.to],
    ['certificates', step('certificates')?.from, step('certificates')?.to],
    ['etcd: volume, pod and container', made?.from, etcd?.runs],
    ['etcd: serves', etcd?.runs, etcd?.serves],
    // The step ends when the API server's Deployment is there.
    ['API server: pod and container', made?.to, apiserver?.runs],
    ['API server: serves', apiserver?.runs, apiserver?.serves],
    ['API server: ready', apiserver?.serves, available],
    ['child assets', step('addons')?.from, step('addons')?.to],
    ['kubeconfigs', step('kubeconfigs')?.from, step('kubeconfigs')?.to],
    ['all components ready', step('components-ready')?.from, end],
  ];
  return rows.flatMap(([name, from, to]) => (from === undefined || to === undefined ? [] : [{ name, from, to }]));
}

/** When a line of a log was written, by the kubelet's time before it. @param started wall clock of the command's start */
export function logTime(log: string, pattern: RegExp, started: number): number | undefined {
  const line = log.split('\n').find((each) => pattern.test(each));
  const time = Date.parse(line?.split(' ', 1)[0] ?? '');
  return Number.isNaN(time) ? undefined : time - started;
}
