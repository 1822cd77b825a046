import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { resolveVersion } from '../../src/config/versions.ts';
import { workerStatus } from '../../src/hosted/workers.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, Node, Pod } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { workerPodName, workerPodsName } from '../../src/plane/beside/worker-pods/worker-pods.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { sandboxHost, takeHostBack } from '../../src/sandbox/host.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { sandboxWorkerImage } from '../../src/sandbox/worker-pods.ts';
import { table } from '../../src/ui/table.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { connectByFile } from '../connect-by-file.ts';
import { leftOnNodes } from '../e2e/left-on-nodes.ts';
import { killInPod } from '../kill-in-pod.ts';
import { allowPrivilegedPods } from '../privileged-namespace.ts';
import { visitWebService, webService } from '../web-service.ts';
import { withoutKubelet } from './infra-kubelet.ts';
import type { Faults, Finding, Part } from './report.ts';
import {
  type Change,
  type ChangeName,
  Changes,
  olderVersion,
  type PlannedKill,
  planKills,
  type Victim,
} from './worker-changes.ts';
import { lastWordsOfWorkers } from './worker-words.ts';

/*
 * Kills while the workers of a plane, which are pods, change: by another number, another size, another version, and another way to the
 * plane. After each kill the same command runs again until it succeeds; then all workers have to be Ready and a Service has to answer.
 */

interface Extent {
  sandbox: string;
  namespace: string;
  kills: number;
  victims: readonly Victim[];
  changes: readonly ChangeName[];
}

/** What came of one kill. */
interface Row {
  kill: PlannedKill;
  change: string;
  /** The command had ended before the kill. */
  late: boolean;
  /** It failed, or was killed, and ran again. */
  again: boolean;
  /** Seconds from its start until it had succeeded, and from then until all converged; undefined where it did not come to that. */
  done?: number;
  converged?: number;
}

/** Milliseconds. */
const limits = { change: 400_000, converged: 240_000 };
const podKind = { apiVersion: 'v1', kind: 'Pod' };

export async function killWhileWorkersChange(extent: Extent, faults: Faults): Promise<Part> {
  const started = Date.now();
  const plane = await WorkerPlane.open(extent);
  const findings: Finding[] = [];
  const rows: Row[] = [];
  try {
    await plane.make();
    const changes = new Changes(plane.host, firstInfra(requireState(extent.sandbox)).address);
    for (const kill of planKills(extent.kills, extent, faults.random)) {
      if (faults.isOver()) break;
      const change = changes.next(kill.during);
      const row: Row = { kill, change: change.name, late: false, again: false };
      rows.push(row);
      await plane.killWhile(change, row).catch((error: Error) => {
        findings.push({ what: `${kill.victim} killed during ${change.name}`, output: error.message });
      });
      faults.progress(`${rows.length} of ${extent.kills}: ${cellsOf(row).join(', ')}`);
    }
  } finally {
    const left = await plane.destroy();
    if (left.length > 0) findings.push({ what: 'something is left of worker pods', output: left.join('\n') });
  }
  const figures = tableOf(rows).split('\n');
  return { name: 'kills while workers change', figures, findings, seconds: (Date.now() - started) / 1000 };
}

const header = ['VICTIM', 'DURING', 'KILLED AFTER', 'THE COMMAND', 'DONE AFTER', 'CONVERGED'];

function cellsOf({ kill, change, late, again, done, converged }: Row): string[] {
  const seconds = (value: number | undefined) => (value === undefined ? 'never' : `${value.toFixed(1)} s`);
  const rest = kill.victim === 'infra-kubelet' ? `, away for ${kill.away} s` : '';
  return [
    kill.victim,
    change,
    `${(kill.after / 1000).toFixed(1)} s${rest}`,
    late ? 'had ended' : again ? 'ran again' : 'succeeded',
    seconds(done),
    converged === undefined ? 'never' : `${converged.toFixed(1)} s later`,
  ];
}

function tableOf(rows: Row[]): string {
  const converged = rows.flatMap((row) => row.converged ?? []);
  const longest = converged.length > 0 ? `, at most ${Math.max(...converged).toFixed(1)} s after the command` : '';
  return `${table(header, rows.map(cellsOf))}\n${converged.length} of ${rows.length} kills converged${longest}`;
}

const hostOf = ({ namespace }: Pick<Extent, 'namespace'>) => `${namespace}.workers.test`;

class WorkerPlane {
  /** A name of the plane, where it is exposed by one. */
  readonly host: string;
  readonly #extent: Extent;
  readonly #folder: string;
  readonly #kubeconfig: string;
  readonly #cluster: InfraCluster;
  /** Of all worker pods that there were. */
  readonly #uids = new Set<string>();

  private constructor(extent: Extent, folder: string, kubeconfig: string) {
    this.host = hostOf(extent);
    this.#extent = extent;
    this.#folder = folder;
    this.#kubeconfig = kubeconfig;
    this.#cluster = connectByFile(kubeconfig, extent.namespace);
  }

  static async open(extent: Extent): Promise<WorkerPlane> {
    const { sandbox: name, namespace } = extent;
    const { kubeconfig } = await sandboxEnvironment({ name, namespace });
    await allowPrivilegedPods(name, namespace);
    await sandboxHost(name, hostOf(extent));
    for (const version of [olderVersion, undefined])
      await sandboxWorkerImage(name, terminalReporter(), version && resolveVersion(version));
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

  /** @throws what is not as it should be in the end */
  async killWhile(change: Change, row: Row): Promise<void> {
    const { kill } = row;
    const began = performance.now();
    const { child, ended } = this.#start(change.args);
    await Promise.race([sleep(kill.after), ended]);
    row.late = child.exitCode !== null || child.signalCode !== null;
    if (kill.victim === 'cli') child.kill('SIGKILL');
    else await this.#kill(kill, kill.victim);
    const { code } = await ended;
    row.again = code !== 0;
    if (row.again) await this.#succeed(change.args);
    const applied = performance.now();
    row.done = (applied - began) / 1000;
    await this.#untilConverged(change.workers);
    row.converged = (performance.now() - applied) / 1000;
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
    await takeHostBack(this.#extent.sandbox, this.host);
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

  async #kill({ node, away }: PlannedKill, victim: Exclude<Victim, 'cli'>): Promise<void> {
    if (victim === 'infra-kubelet') return withoutKubelet(this.#extent.sandbox, node, () => sleep(away * 1000));
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
      if (Date.now() > deadline)
        throw new Error(
          `not converged after ${limits.converged / 1000} s: ${wrong}\n${await lastWordsOfWorkers(this.#cluster)}`,
        );
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
