import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../src/base/errors.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { InfraCredentials } from '../../src/sandbox/infra/credentials.ts';
import { sandboxJoin } from '../../src/sandbox/join.ts';
import { ensureRegistry, pushImages } from '../../src/sandbox/registry.ts';
import { machineFolder, requireState, type SandboxState } from '../../src/sandbox/state.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import type { SuiteImages } from './images.ts';

const namespace = 'conformance';
const cli = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cli.js');

/**
 * A plane deployed with a delegated administrator's rights, and two workers.
 *
 * @param options of `k8sk8s deploy` beside host and namespace
 * @param folder where deploy writes tls/
 * @returns the path of the hosted cluster's administrator kubeconfig
 */
export async function hostedCluster(
  name: string,
  options: string[],
  folder: string,
  reporter: Reporter,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const { kubeconfig } = await sandboxEnvironment({ name, namespace });
  const host = `${name}.k8sk8s.test`;
  await sandboxHost(name, host);
  const deploy = ['deploy', '-h', host, '-n', namespace, ...options];
  const { status } = spawnSync(process.execPath, [cli, ...deploy], {
    cwd: folder,
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    throw new UserError({
      what: 'the plane for the suite could not be deployed',
      why: `k8sk8s ${deploy.join(' ')} ended with code ${status}; its output stands above`,
      fix: `start again with a new sandbox: k8sk8s sandbox down --name ${name}`,
      anchor: 'conformance-suite',
    });
  }
  await sandboxJoin({ name, namespace, dir: path.join(folder, 'tls'), workers: 2 }, reporter);
  return path.join(folder, 'tls', 'kubeconfig');
}

/**
 * The reference is the sandbox's own infra cluster: the same programs on the same box, without k8sk8s. @returns the path of its
 * administrator's kubeconfig
 */
export function referenceCluster(name: string): string {
  return new InfraCredentials(requireState(name)).file('admin.kubeconfig');
}

/**
 * Imports the suite's images on the machines that run its pods, and pushes them to a registry for pods with imagePullPolicy
 * Always.
 */
export async function provideImages(
  name: string,
  role: 'infra' | 'worker',
  images: SuiteImages['images'],
  crane: string,
): Promise<void> {
  const state: SandboxState = requireState(name);
  await ensureRegistry(state, crane);
  await pushImages(state, crane, images);
  const archives = [...new Set(images.map(({ archive }) => archive))];
  await Promise.all(
    state.machines
      .filter((machine) => machine.role === role)
      .map((machine) => ensureImported(machine, machineFolder(state, machine), archives)),
  );
}
