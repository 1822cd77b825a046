import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import { cacheRoot } from '../../src/base/cache-root.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { binaryPath } from '../../src/sandbox/artifacts/cache.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { withLock } from '../../src/sandbox/lock.ts';
import { loadState, machineFolder } from '../../src/sandbox/state.ts';
import { versions } from '../../src/sandbox/versions.ts';
import { eventually } from '../until.ts';

export { eventually };

/** What a command did: everything that a person would have seen. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

const cli = path.resolve('dist/cli.js');
/** Of deploys that choose none: another one than the default, to see that behaviour is the same. */
const profile = process.env.K8SK8S_TEST_PROFILE;
/** The sandbox's kubectl, whatever the box has. */
export const kubectl = binaryPath(cacheRoot(), 'kubernetes', versions.kubernetes, 'kubectl');
const work = inject('work');

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: string;
  timeout?: number;
}

/** Runs a program to its end; a non-zero exit code is an outcome, not an error. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
  const { timeout = 600_000 } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        env: { ...process.env, ...options.env },
        cwd: options.cwd ?? work,
        timeout,
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => {
        if (error?.killed)
          reject(new Error(`${program} ${args.join(' ')} was ended after ${timeout / 1000} s\n${stdout}${stderr}`));
        else if (error && typeof error.code !== 'number')
          reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stderr}`));
        else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
    // A program may end without having read its input (EPIPE): what it did is in its exit code.
    child.stdin?.on('error', () => {}).end(options.input ?? '');
  });
}

/** What the tests read of one. */
export interface Pod {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName: string };
  status: { podIP: string };
}

/** To compare before and after. */
export const uidsOf = (pods: Pod[]): string[] => pods.map(({ metadata }) => metadata.uid).sort();

/** A namespace of the infra cluster with its delegated administrator, and a folder for its files. */
export class Namespace {
  readonly name: string;
  readonly sandbox: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;

  private constructor(name: string, sandbox: string, env: NodeJS.ProcessEnv) {
    this.name = name;
    this.sandbox = sandbox;
    this.env = env;
    this.cwd = path.join(work, name);
    mkdirSync(this.cwd, { recursive: true });
  }

  /** @param sandbox another one than that of this run */
  static async open(name: string, sandbox = inject('sandbox')): Promise<Namespace> {
    return new Namespace(name, sandbox, await environment(sandbox, '--namespace', name));
  }

  /** `k8sk8s …` with the delegated administrator's rights, in the namespace's folder. */
  k8sk8s(...args: string[]): Promise<Outcome> {
    return run(process.execPath, this.#line(args), { env: this.env, cwd: this.cwd });
  }

  #line(args: string[]): string[] {
    const chosen = profile && args[0] === 'deploy' && !args.includes('--profile') ? ['--profile', profile] : [];
    return [cli, ...args, ...chosen, '-n', this.name];
  }

  /** A command of k8sk8s that is about files, in the namespace's folder. */
  local(...args: string[]): Promise<Outcome> {
    return run(process.execPath, [cli, ...args], { env: this.env, cwd: this.cwd });
  }

  /** `k8sk8s …` with its standard output in a file of the namespace's folder. */
  async into(file: string, ...args: string[]): Promise<Outcome> {
    const output = await open(path.join(this.cwd, file), 'w');
    const child = spawn(process.execPath, this.#line(args), {
      env: { ...process.env, ...this.env },
      cwd: this.cwd,
      stdio: ['ignore', output.fd, 'pipe'],
    });
    const stderr = text(child.stderr!);
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    await output.close();
    return { code: code ?? -1, stdout: '', stderr: await stderr };
  }

  /** The same, killed after so many milliseconds, or once something has come true. */
  async killed(after: number | Promise<unknown>, ...args: string[]): Promise<void> {
    const child = spawn(process.execPath, this.#line(args), {
      env: { ...process.env, ...this.env },
      cwd: this.cwd,
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      await Promise.race([typeof after === 'number' ? sleep(after) : after, ended]);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  }

  /** A command that goes on, and what it has said so far. */
  started(...args: string[]): Started {
    const child = spawn(process.execPath, this.#line(args), {
      env: { ...process.env, ...this.env },
      cwd: this.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return listenedTo(child);
  }

  /** kubectl on the infra cluster, in this namespace. */
  infra(...args: string[]): Promise<Outcome> {
    return run(kubectl, ['-n', this.name, ...args], { env: this.env, cwd: this.cwd });
  }

  /** Pods of the namespace that stay: one that was deleted and has not ended yet is none of them. */
  async pods(...selector: string[]): Promise<Pod[]> {
    const { items } = JSON.parse(succeeded(await this.infra('get', 'pods', ...selector, '-o', 'json')).stdout);
    return (items as Pod[]).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Those of a component. @param name as in the label app.kubernetes.io/name */
  podsOf(name: string): Promise<Pod[]> {
    return this.pods('-l', `app.kubernetes.io/name=${name}`);
  }

  /** kubectl on the hosted cluster, as its administrator. */
  hosted(args: string[], input?: string): Promise<Outcome> {
    return run(kubectl, ['--kubeconfig=tls/kubeconfig', ...args], { env: this.env, cwd: this.cwd, input });
  }

  /** kubectl on the hosted cluster that has to succeed. @returns stdout */
  async ask(...args: string[]): Promise<string> {
    return succeeded(await this.hosted(args)).stdout.trim();
  }

  async apply(manifest: string): Promise<void> {
    succeeded(await this.hosted(['apply', '-f', '-'], manifest));
  }

  /**
   * Lets the plane's API server be made anew on another infra node, and keeps its old one closed to new pods while `work`
   * goes on; that begins when the old pod is gone. Of two files that run beside each other, one closes a node at a time: each would
   * open the other's.
   */
  async withApiServerElsewhere(work: (before: string) => Promise<void>): Promise<void> {
    const pods = ['-l', 'app.kubernetes.io/name=kube-apiserver'];
    await aloneAtCordons(async () => {
      const node = (await this.pods(...pods))[0]!.spec.nodeName;
      succeeded(await asInfraAdmin('cordon', node));
      try {
        succeeded(await this.infra('delete', 'pod', ...pods, '--wait=true'));
        await work(node);
      } finally {
        succeeded(await asInfraAdmin('uncordon', node));
      }
    });
  }

  /** Waits until all pods of a Deployment of the hosted cluster are available; fails with what holds them up. */
  async rolledOut(deployment: string, seconds: number, namespace = 'default'): Promise<void> {
    const within = ['-n', namespace];
    const outcome = await this.hosted([
      ...within,
      'rollout',
      'status',
      `deployment/${deployment}`,
      `--timeout=${seconds}s`,
    ]);
    if (outcome.code === 0) return;
    const pods = await this.hosted([...within, 'get', 'pods', '-o', 'wide']);
    const nodes = await this.hosted(['get', 'nodes', '-o', 'wide']);
    const events = await this.hosted(['get', 'events', '-A', '--sort-by=.lastTimestamp']);
    throw new Error([outcome, pods, nodes, events].map(({ stdout, stderr }) => stdout + stderr).join('\n'));
  }
}

interface Started {
  said(words: RegExp, seconds?: number): Promise<RegExpExecArray>;
  /** @returns its exit code */
  ended(): Promise<number | null>;
  end(): void;
}

function listenedTo(child: ChildProcess): Started {
  let text = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (text += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    said: (words, seconds = 30) =>
      eventually(seconds, async () => {
        const found = words.exec(text);
        if (!found) throw new Error(`it has not said ${words}:\n${text}`);
        return found;
      }),
    ended: () => ended,
    end: () => child.kill('SIGINT'),
  };
}

function aloneAtCordons(work: () => Promise<void>): Promise<void> {
  return withLock(`${inject('sandbox')}.e2e-cordon`, 200, work, () => {
    throw new Error('another file has kept an infra node closed for 200 s');
  });
}

/** Images for the infra nodes of this run's sandbox. @param archives as ensureImages makes them */
export async function giveInfraNodes(archives: string[]): Promise<void> {
  const state = loadState(inject('sandbox'))!;
  for (const machine of state.machines.filter(({ name }) => name.startsWith('infra-')))
    await ensureImported(machine, machineFolder(state, machine), archives);
}

/** The infra cluster's own administrator: for what happens to a cluster, never for what k8sk8s does. */
export async function asInfraAdmin(...args: string[]): Promise<Outcome> {
  return run(kubectl, args, { env: await environment(inject('sandbox'), '--admin') });
}

/** The environment in which kubectl is the infra cluster's own administrator. */
export function infraAdminEnvironment(): Promise<NodeJS.ProcessEnv> {
  return environment(inject('sandbox'), '--admin');
}

/** `k8sk8s …` as the infra cluster's own administrator: for what only that one may do. */
export async function k8sk8sAsInfraAdmin(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [cli, ...args], { env: await environment(inject('sandbox'), '--admin') });
}

export function sandboxCommand(args: string[], namespace: Namespace): Promise<Outcome> {
  return run(process.execPath, [cli, 'sandbox', ...args, '--name', namespace.sandbox], {
    env: namespace.env,
    cwd: namespace.cwd,
  });
}

async function environment(sandbox: string, ...args: string[]): Promise<NodeJS.ProcessEnv> {
  const { stdout } = succeeded(await run(process.execPath, [cli, 'sandbox', 'env', ...args, '--name', sandbox]));
  const pairs = [...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [
    name!,
    value!.replace(/^(['"])(.*)\1$/, '$2').replace(/\$\{?PATH\}?/g, process.env.PATH ?? ''),
  ]);
  return Object.fromEntries(pairs);
}

/** Fails with all that a command printed when it did not succeed. */
export function succeeded(outcome: Outcome): Outcome {
  expect(outcome.code, `${outcome.stdout}\n${outcome.stderr}`).toBe(0);
  return outcome;
}

/** Fails unless a command succeeded and said that there was nothing for it to do. */
export function changedNothing(outcome: Outcome): void {
  expect(succeeded(outcome).stderr).toMatch(/^Nothing to (change|do|repair)/m);
}

/**
 * What was last written to every object of a plane, and by whom and when, one text each; not the lease, which says who was at
 * work, and not what controllers report in `status`, whenever they come to that.
 */
export async function written(namespace: Namespace): Promise<string[]> {
  const kinds = 'statefulsets,deployments,services,secrets,configmaps,ingresses';
  const ours = ['-l', 'app.kubernetes.io/part-of=k8sk8s'];
  const { stdout } = succeeded(await namespace.infra('get', kinds, ...ours, '-o', 'json', '--show-managed-fields'));
  const { items } = JSON.parse(stdout) as { items: (KubeObject & { status?: object })[] };
  return items
    .map(({ status, ...object }) => {
      const { managedFields, resourceVersion, ...metadata } = object.metadata;
      const writes = managedFields?.filter(({ subresource }) => subresource !== 'status');
      const text = JSON.stringify({ ...object, metadata, writes, ...(!status && { resourceVersion }) });
      // A failure prints both texts, and no log is a place for keys.
      return object.kind === 'Secret'
        ? `${metadata.name}: SHA-256 ${createHash('sha256').update(text).digest('hex')}`
        : text;
    })
    .sort();
}
