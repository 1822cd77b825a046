import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { eventually, type Namespace, sandboxCommand, succeeded } from './world.ts';

/** What `certs rotate-ca` and `certs rotate-exposed` ask of a person for a plane's only worker: new files, its certificates away, its kubelet started anew. */
export async function visitWorker(home: Namespace): Promise<void> {
  const state = requireState(home.sandbox);
  const machine = state.machines.find(({ claimedBy }) => claimedBy === home.name)!;
  const kubelet = path.join(machineFolder(state, machine), 'root/var/lib/kubelet');
  // What the sandbox knows is nsenter, which ends with the kubelet that it started.
  const { pid } = machine.daemons.kubelet!;
  process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')), 'SIGKILL');
  await eventually(30, async () => expect(existsSync(`/proc/${pid}`)).toBe(false));
  for (const each of ['kubeconfig', 'pki']) rmSync(path.join(kubelet, each), { recursive: true, force: true });
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
}
