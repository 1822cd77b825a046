import { messageOf } from '../../base/errors.ts';
import { ExecError } from '../../kube/exec.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { Service } from '../../kube/objects.ts';
import type { NetworkDriver } from '../../plane/networks/driver.ts';

/** Where the pods of the test live; the pod in `outsideNamespace` is a stranger to policies of the other one. */
export const testNamespace = 'k8sk8s-network-test';
export const outsideNamespace = 'k8sk8s-network-test-outside';

/** Of all pods: those on the node's own network cannot have ports that something else may have. */
export const ports = { web: 28080, second: 28081, speed: 25001 };

/** `near`, `beside` and `hostNear` stand on the first worker, the others on the second one where there is one. */
export const podNames = ['near', 'beside', 'far', 'outside', 'hostNear', 'hostFar'] as const;
export type PodName = (typeof podNames)[number];

/** `host-near`: a pod as the cluster calls it. */
export const objectName = (name: PodName): string => name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`);

export interface Worker {
  name: string;
  address: string;
  /** Of IPv6, in a plane of two families. */
  secondAddress?: string;
  podCidr?: string;
}

interface TestPod {
  /** As the cluster calls it. */
  name: string;
  namespace: string;
  node: string;
  address: string;
  secondAddress?: string;
}

/** Something of the network that is not as it should be: the cause of a row that failed. */
export class RowFailure extends Error {}

export interface TestSetup {
  hosted: HostedCluster;
  driver: NetworkDriver;
  /** What the driver needs open between workers, in words. */
  between: string[];
  podCidr: string;
  dnsDomain: string;
  workers: Worker[];
  pods: Record<PodName, TestPod>;
  /** Of pods that did not become Ready, what keeps them. */
  missing: Partial<Record<PodName, string>>;
  services: Record<'web' | 'sticky' | 'itself' | 'node-port', Service> & { 'web-ipv6'?: Service };
  signal: AbortSignal;
}

/** Runs a shell command in a pod. @returns what it printed @throws RowFailure with its last words */
export async function runInPod(setup: TestSetup, from: PodName, command: string, seconds = 20): Promise<string> {
  const pod = setup.pods[from];
  const missing = setup.missing[from];
  if (missing !== undefined) throw new RowFailure(missing);
  const options = { container: 'web', timeout: (seconds + 10) * 1000, signal: setup.signal };
  try {
    const { code, stdout, stderr } = await setup.hosted.exec(pod.name, pod.namespace, ['sh', '-c', command], options);
    const last = stderr.trim().split('\n').at(-1) || stdout.trim() || `exit code ${code}`;
    if (code !== 0) throw new RowFailure(last.slice(0, 200));
    return stdout.trim();
  } catch (error) {
    setup.signal.throwIfAborted();
    if (!(error instanceof ExecError)) throw error;
    throw new RowFailure(`no command could be run in pod ${pod.name} on ${pod.node}: ${messageOf(error)}`);
  }
}

/** Who a pod is, for a sentence. */
export function describePod({ pods }: TestSetup, name: PodName): string {
  const { address, node } = pods[name];
  return name.startsWith('host') ? `${node} itself (${address})` : `pod ${name} (${address} on ${node})`;
}

/** `10.2.1.3:28080`, and of IPv6 with brackets. */
export function socketAddress(address: string, port: number = ports.web): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

const curl = 'curl -sS --connect-timeout 3 -m 5';

/** What a web server of the test answers. @throws RowFailure that says who asked whom */
export function fetchFrom(setup: TestSetup, from: PodName, where: string, path = 'hostname'): Promise<string> {
  return runInPod(setup, from, `${curl} "http://${where}/${path}"`).catch(failedFrom(setup, from, where));
}

/** The same so many times, each by a connection of its own: what answered, without what answered twice. */
export async function fetchManyTimes(setup: TestSetup, from: PodName, where: string, times: number): Promise<string[]> {
  const command = `for turn in $(seq ${times}); do ${curl} "http://${where}/hostname" || exit 1; echo; done`;
  const answers = await runInPod(setup, from, command, 5 * times).catch(failedFrom(setup, from, where));
  return [...new Set(answers.split('\n').filter(Boolean))];
}

/** Adds to a failure who asked, and what. */
export function failedFrom(setup: TestSetup, from: PodName, where: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RowFailure)) throw error;
    throw new RowFailure(`from ${describePod(setup, from)} to ${where}: ${error.message}`);
  };
}

/** Asks a pod by its own address, and demands its own answer. */
export async function demandAnswer(
  setup: TestSetup,
  from: PodName,
  to: PodName,
  port: number = ports.web,
): Promise<void> {
  const missing = setup.missing[to];
  if (missing !== undefined) throw new RowFailure(missing);
  const { address, node, name } = setup.pods[to];
  const url = `http://${socketAddress(address, port)}/hostname`;
  const whom = `${describePod(setup, to)}, port ${port}`;
  const answer = await runInPod(setup, from, `${curl} ${url}`).catch(failedFrom(setup, from, whom));
  const expected = to.startsWith('host') ? node : name;
  if (answer !== expected) throw new RowFailure(`${whom}, was dialled, and ${answer} answered`);
}

export const twoWorkers = ({ workers }: TestSetup): boolean => workers.length > 1;
