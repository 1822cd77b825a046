import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type MachineState, machineFolder, requireState } from '../../src/sandbox/state.ts';
import { eventually, type Namespace, sandboxCommand, succeeded } from './world.ts';

/** Ends the kubelet of a plane's only worker, as `systemctl stop` does; `sandbox join` starts it again. @returns the worker */
export async function stopKubelet(home: Namespace): Promise<MachineState> {
  const machine = requireState(home.sandbox).machines.find(({ claimedBy }) => claimedBy === home.name)!;
  // What the sandbox knows is nsenter, which ends with the kubelet that it started.
  const { pid } = machine.daemons.kubelet!;
  process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')), 'SIGKILL');
  await eventually(30, async () => expect(existsSync(`/proc/${pid}`)).toBe(false));
  return machine;
}

/** What `certs rotate-ca` and `certs rotate-exposed` ask of a person for a plane's only worker: new files, its certificates away, its kubelet started anew. */
export async function visitWorker(home: Namespace): Promise<void> {
  const machine = await stopKubelet(home);
  const kubelet = path.join(machineFolder(requireState(home.sandbox), machine), 'root/var/lib/kubelet');
  for (const each of ['kubeconfig', 'pki']) rmSync(path.join(kubelet, each), { recursive: true, force: true });
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
}
