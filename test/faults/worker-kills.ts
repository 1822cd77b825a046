import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { workerStatus } from '../../src/hosted/workers.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, Node, Pod } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { workerPodName, workerPodsName } from '../../src/plane/beside/worker-pods/worker-pods.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { sandboxWorkerImage } from '../../src/sandbox/worker-pods.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { connectByFile } from '../connect-by-file.ts';
import { leftOnNodes } from '../e2e/left-on-nodes.ts';
import { killInPod } from '../kill-in-pod.ts';
import { allowPrivilegedPods } from '../privileged-namespace.ts';
import { visitWebService, webService } from '../web-service.ts';
import type { Faults, Finding, Part } from './report.ts';

/*
 * Kills while the workers of a plane, which are pods, change: by another number, another size, another version, and another way to the
 * plane. After each kill the same command runs again until it succeeds; then all workers have to be Ready and a Service has to answer.
 */

/** What is killed, by SIGKILL but for the pod, which is deleted without a grace. */
export const victimNames = ['cli', 'worker-pod', 'pid-1', 'api-server', 'infra-kubelet'] as const;
export type Victim = (typeof victimNames)[number];

interface Extent {
  sandbox: string;
  namespace: string;
  kills: number;
  victims: readonly Victim[];
}

interface Change {
  name: string;
  args: string[];
  /** How many workers there are afterwards. */
  workers: number;
}

const olderVersion = '1.36';
/** Milliseconds. */
const limits = { change: 400_000, converged: 240_000, latestKill: 15_000 };
const podKind = { apiVersion: 'v1', kind: 'Pod' };

export async function killWhileWorkersChange(extent: Extent, faults: Faults): Promise<Part> {
  const started = Date.now();
  const plane = await WorkerPlane.open(extent);
  const findings: Finding[] = [];
  const rows: string[] = [];
  try {
    await plane.make();
    const changes = new Changes(extent.sandbox, faults.random);
    for (let number = 1; number <= extent.kills && !faults.isOver(); number++) {
      const change = changes.next();
      const victim = extent.victims[Math.floor(faults.random() * extent.victims.length)]!;
      const after = faults.random() * limits.latestKill;
      const row = await plane.killWhile(change, victim, after).catch((error: Error) => {
        findings.push({ what: `${victim} killed during ${change.name}`, output: error.message });
        return `${error.message.split('\n')[0]}`;
      });
      rows.push(`${number}. ${victim} killed ${(after / 1000).toFixed(1)} s into ${change.name}: ${row}`);
      faults.progress(rows.at(-1)!);
    }
  } finally {
    const left = await plane.destroy();
    if (left.length > 0) findings.push({ what: 'something is left of worker pods', output: left.join('\n') });
  }
  return { name: 'kills while workers change', figures: rows, findings, seconds: (Date.now() - started) / 1000 };
}

/** Each brings the plane to another state than the one before. */
class Changes {
  readonly #random: () => number;
  readonly #address: string;
  #workers = 2;
  #older = true;
  #inside = true;
  #millicores = 300;

  constructor(sandbox: string, random: () => number) {
    this.#random = random;
    this.#address = firstInfra(requireState(sandbox)).address;
  }

  next(): Change {
    const kinds = [this.#scale, this.#expose, this.#resize, ...(this.#older ? [this.#upgrade] : [])];
    return kinds[Math.floor(this.#random() * kinds.length)]!.call(this);
  }

  #scale(): Change {
    const others = [1, 2, 3].filter((count) => count !== this.#workers);
    this.#workers = others[Math.floor(this.#random() * others.length)]!;
    return this.#of(`scale to ${this.#workers}`, ['workers', 'scale', String(this.#workers)]);
  }

  #expose(): Change {
    this.#inside = !this.#inside;
    return this.#inside
      ? this.#of('change to --expose cluster', ['deploy', '--expose', 'cluster', '--reset', 'host', '--yes'])
      : this.#of('change to --expose nodeport', ['deploy', '--expose', 'nodeport', '-h', this.#address, '--yes']);
  }

  #resize(): Change {
    this.#millicores = this.#millicores === 300 ? 400 : 300;
    const size = `cpu=${this.#millicores}m,memory=1Gi`;
    return this.#of(`change to ${size}`, ['deploy', '--worker-resources', size, '--yes']);
  }

  #upgrade(): Change {
    this.#older = false;
    return this.#of('upgrade', ['upgrade', '--to', '1.37', '--no-backup']);
  }

  #of(name: string, args: string[]): Change {
    return { name, args, workers: this.#workers };
  }
}

class WorkerPlane {
  readonly #extent: Extent;
  readonly #folder: string;
  readonly #kubeconfig: string;
  readonly #cluster: InfraCluster;
  /** Of all worker pods that there were. */
  readonly #uids = new Set<string>();

  private constructor(extent: Extent, folder: string, kubeconfig: string) {
    this.#extent = extent;
    this.#folder = folder;
    this.#kubeconfig = kubeconfig;
    this.#cluster = connectByFile(kubeconfig, extent.namespace);
  }

  static async open(extent: Extent): Promise<WorkerPlane> {
    const { sandbox: name, namespace } = extent;
    const { kubeconfig } = await sandboxEnvironment({ name, namespace });
    await allowPrivilegedPods(name, namespace);
    for (const version of [olderVersion, undefined])
      await sandboxWorkerImage(name, terminalReporter(), version && `${version}.3`);
    return new WorkerPlane(extent, await mkdtemp(path.join(tmpdir(), 'k8sk8s-worker-kills-')), kubeconfig);
  }

  async make(): Promise<void> {
    const repository = imageReferences.worker('1').replace(/:.*$/, '');
    const workers = ['--worker-pods', '2', '--worker-image', repository, '--worker-resources', 'cpu=300m,memory=1Gi'];
    await this.#succeed(['deploy', '--expose', 'cluster', '--kubernetes-version', olderVersion, ...workers]);
    const { connect } = await openPlane(this.#cluster);
    const hosted = await connect();
    for (const object of loadAll(webService) as KubeObject[]) await hosted.apply(object);
    await hosted.close();
    await this.#untilConverged(2);
  }

  /** @returns what happened, in a few words @throws what is not as it should be in the end */
  async killWhile(change: Change, victim: Victim, after: number): Promise<string> {
    const began = Date.now();
    const { child, ended } = this.#start(change.args);
    await Promise.race([sleep(after), ended]);
    const hit = child.exitCode === null && child.signalCode === null;
    if (victim === 'cli') child.kill('SIGKILL');
    else await this.#kill(victim);
    const { code } = await ended;
    if (code !== 0) await this.#succeed(change.args);
    const applied = Date.now();
    await this.#untilConverged(change.workers);
    const seconds = (since: number, until: number) => ((until - since) / 1000).toFixed(0);
    return `${hit ? '' : 'it had ended; '}${code === 0 ? 'it succeeded' : 'run again'}, ${seconds(began, applied)} s; converged ${seconds(applied, Date.now())} s later`;
  }

  /** @returns what is left of the plane */
  async destroy(): Promise<string[]> {
    await this.#succeed(['destroy', '--yes']);
    const pods = (await this.#cluster.list<Pod>(podKind)).items.map(({ metadata }) => metadata.name);
    const deadline = Date.now() + 60_000;
    let left = await leftOnNodes(this.#extent, this.#uids);
    while (left.length > 0 && Date.now() < deadline) {
      await sleep(2000);
      left = await leftOnNodes(this.#extent, this.#uids);
    }
    await this.#cluster.close();
    await rm(this.#folder, { recursive: true, force: true });
    return [...pods, ...left];
  }

  #start(args: string[]) {
    const line = [path.resolve('dist/cli.js'), ...args, '-n', this.#extent.namespace];
    const child = spawn(process.execPath, line, {
      cwd: this.#folder,
      env: { PATH: process.env.PATH, HOME: this.#folder, KUBECONFIG: this.#kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    const limit = setTimeout(() => child.kill('SIGKILL'), limits.change);
    const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
      child.once('close', (code) => {
        clearTimeout(limit);
        resolve({ code, output });
      }),
    );
    return { child, ended };
  }

  /** A command that met a kill may fail; that it never succeeds again is a finding. */
  async #succeed(args: string[]): Promise<void> {
    let last = '';
    for (let tries = 0; tries < 3; tries++) {
      const { code, output } = await this.#start(args).ended;
      if (code === 0) return;
      last = output;
      await sleep(3000);
    }
    throw new Error(`k8sk8s ${args.join(' ')} fails three times\n${last}`);
  }

  async #kill(victim: Exclude<Victim, 'cli'>): Promise<void> {
    if (victim === 'infra-kubelet') return killKubelet(this.#extent.sandbox);
    const name = victim === 'api-server' ? 'kube-apiserver' : workerPodsName;
    const selector = `app.kubernetes.io/name=${name}`;
    const [pod] = (await this.#cluster.pods(selector)).items.filter(({ metadata }) => !metadata.deletionTimestamp);
    if (!pod) return;
    if (name === workerPodsName) this.#uids.add(pod.metadata.uid!);
    if (victim === 'worker-pod') await this.#cluster.endPod(pod, 0);
    else killInPod(pod.metadata.uid!, victim === 'api-server' ? /^\S*kube-apiserver\b/ : /worker\.sh/);
  }

  /** All workers are Ready and no other Node is there, and the Service answers by both of its pods. */
  async #untilConverged(workers: number): Promise<void> {
    const deadline = Date.now() + limits.converged;
    for (;;) {
      const wrong = await this.#whatIsWrong(workers).catch((error: Error) => error.message);
      if (wrong === undefined) return;
      if (Date.now() > deadline) throw new Error(`not converged after ${limits.converged / 1000} s: ${wrong}`);
      await sleep(1000);
    }
  }

  async #whatIsWrong(workers: number): Promise<string | undefined> {
    const own = (await this.#cluster.pods(`app.kubernetes.io/name=${workerPodsName}`)).items;
    for (const { metadata } of own) this.#uids.add(metadata.uid!);
    if (own.length !== workers) return `${own.length} worker pods`;
    const { connect } = await openPlane(this.#cluster);
    const hosted = await connect();
    return whatIsWrongInside(hosted, workers).finally(() => hosted.close());
  }
}

async function whatIsWrongInside(hosted: HostedCluster, workers: number): Promise<string | undefined> {
  const nodes = (await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' })).items;
  const ready = nodes.filter((node) => workerStatus(node).ready).map(({ metadata }) => metadata.name);
  const wanted = Array.from({ length: workers }, (_, number) => workerPodName(number));
  if (nodes.length !== workers || wanted.some((name) => !ready.includes(name)))
    return `${nodes.length} Nodes, of which are Ready: ${ready.join(', ')}`;
  if (nodes.some(({ spec }) => spec?.unschedulable)) return 'a Node is still closed';
  const pods = (await hosted.list<Pod>(podKind, { namespace: 'default', labelSelector: 'app=web' })).items;
  const running = pods.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name);
  if (running.length !== 2) return `${running.length} pods of the Service`;
  const { stdout } = await hosted.exec(running[0]!, 'default', ['node', '-e', visitWebService]);
  const answered = stdout.toString().trim().split('\n').sort();
  return answered.join() === running.sort().join() ? undefined : `who answers: ${answered.join(', ')}`;
}

/** Nothing starts it again but the sandbox itself. */
async function killKubelet(name: string): Promise<void> {
  const { machines } = requireState(name);
  const infra = machines.filter(({ role }) => role === 'infra');
  const pid = infra[0]!.daemons.kubelet?.pid;
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  await sleep(5000);
  await sandboxUp({ name, workers: machines.length - infra.length, infraNodes: infra.length }, terminalReporter());
}
