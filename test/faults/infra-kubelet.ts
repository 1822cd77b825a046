import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { InfraCredentials } from '../../src/sandbox/infra/credentials.ts';
import { ensureInfraNode } from '../../src/sandbox/infra/node.ts';
import { withSandboxLock } from '../../src/sandbox/lock.ts';
import { endDaemon } from '../../src/sandbox/machine.ts';
import { type MachineState, requireState, type SandboxState } from '../../src/sandbox/state.ts';
import { quietReporter } from '../../src/ui/quiet.ts';

/** Seconds to wait for another command of the sandbox. */
const patience = 90;

/**
 * Kills the kubelet of an infra node, whose pods go on, and starts it again when `work` has ended. Where this process is killed meanwhile,
 * `sandbox up` starts it, as it does whatever has ended.
 *
 * @param which of the infra nodes: a number in [0, 1)
 */
export async function withoutKubelet(sandbox: string, which: number, work: () => Promise<unknown>): Promise<void> {
  const change = (to: (state: SandboxState, machine: MachineState) => Promise<void>) =>
    withSandboxLock(
      sandbox,
      async () => {
        const state = requireState(sandbox);
        const infra = state.machines.filter(({ role }) => role === 'infra');
        await to(state, infra[Math.floor(which * infra.length)]!);
      },
      patience,
    );
  await change((state, machine) => endDaemon(state, machine, 'kubelet'));
  try {
    await work();
  } finally {
    await change(async (state, machine) => {
      const { kubernetesVersion } = state;
      const programs = await ensureBinaries('core', { kubernetesVersion }, quietReporter);
      await ensureInfraNode(state, machine, programs, new InfraCredentials(state));
    });
  }
}
