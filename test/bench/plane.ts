import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import type { StepTime } from '../../src/rollout/steps.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { connectByFile } from '../connect-by-file.ts';
import { calm } from './machine.ts';
import { type ContainerTimes, logTime, type Phase, phasesOf } from './phases.ts';
import { type Finished, k8sk8s } from './run.ts';

export interface Deployed {
  /** Milliseconds from the start of the command until the administrator can make a pod, through the public address. */
  availableMs: number;
  /** Milliseconds until the command ended, with child assets, files, and all components ready. */
  doneMs: number;
  phases: Phase[];
}

/** A namespace of the sandbox's infra cluster with a delegated administrator, where planes are deployed and destroyed. */
export class Bench {
  readonly namespace: string;
  readonly host: string;
  readonly cluster: InfraCluster;
  readonly folder: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(namespace: string, kubeconfig: string, host: string) {
    this.namespace = namespace;
    this.host = host;
    this.cluster = connectByFile(kubeconfig, namespace);
    this.folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-bench-'));
    this.#env = { KUBECONFIG: kubeconfig };
  }

  static async open(sandbox: string, namespace: string): Promise<Bench> {
    const { kubeconfig } = await sandboxEnvironment({ name: sandbox, namespace });
    const host = `${namespace}.k8sk8s.test`;
    await sandboxHost(sandbox, host);
    return new Bench(namespace, kubeconfig, host);
  }

  async close(): Promise<void> {
    await this.cluster.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  k8sk8s(...args: string[]): Promise<Finished> {
    return k8sk8s([...args, '-n', this.namespace], { env: this.#env, cwd: this.folder });
  }

  async deploy(options: string[] = []): Promise<Deployed> {
    const finished = await this.k8sk8s('deploy', '-h', this.host, '--output', 'json', ...options);
    const { steps } = JSON.parse(finished.stdout) as { steps: StepTime[] };
    const containers = await this.#containerTimes(finished.started);
    return {
      availableMs: availableAt(finished),
      doneMs: finished.milliseconds,
      phases: phasesOf({ began: finished.lines[0]?.at, end: finished.milliseconds, steps }, containers),
    };
  }

  /**
   * Lets a plane with a volume sleep and wakes it; a plane without a volume would have to restore its data. @returns
   * milliseconds from the start of wake to AVAILABLE
   */
  async sleepAndWake(): Promise<number | undefined> {
    const claims = await this.cluster.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
    if (claims.items.length === 0) return undefined;
    await this.k8sk8s('sleep');
    await calm();
    return availableAt(await this.k8sk8s('wake'));
  }

  /** @returns milliseconds until the command has seen that nothing is left */
  async destroy(): Promise<number> {
    return (await this.k8sk8s('destroy', '--yes')).milliseconds;
  }

  async #containerTimes(started: number): Promise<Record<string, ContainerTimes>> {
    const serving = { etcd: /ready to serve client requests/, 'kube-apiserver': /Serving securely on/ };
    const { items } = await this.cluster.pods(anyPlaneSelector);
    const entries = await Promise.all(
      Object.entries(serving).map(async ([component, pattern]) => {
        const pod = items.find(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === component);
        const log = pod ? await this.cluster.log(pod.metadata.name, { container: component, timestamps: true }) : '';
        return [component, { runs: logTime(log, /./, started), serves: logTime(log, pattern, started) }] as const;
      }),
    );
    return Object.fromEntries(entries);
  }
}

function availableAt({ lines }: Finished): number {
  const available = lines.find(({ text }) => /^AVAILABLE !/.test(text));
  if (!available) throw new Error('the command ended, and its output does not say AVAILABLE');
  return available.at;
}
