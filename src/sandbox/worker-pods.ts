import type { Reporter } from '../ui/reporter.ts';
import { ensureImages } from './artifacts/ensure.ts';
import { ensureImported } from './containerd.ts';
import { withSandboxLock } from './lock.ts';
import { machineFolder, requireState } from './state.ts';
import { workerArchives } from './up.ts';
import { imageReferences } from './versions.ts';

/**
 * Makes the image of worker pods, with all images of a worker in it since the sandbox has no registry, and gives it to the infra nodes.
 *
 * @param version of its kubelet; default: the sandbox's
 * @returns its name
 */
export async function sandboxWorkerImage(name: string, reporter: Reporter, version?: string): Promise<string> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      const kubernetesVersion = version ?? state.kubernetesVersion;
      const archives = await workerArchives(state, reporter);
      // Of an older worker too, kube-proxy has the version of its plane.
      if (kubernetesVersion !== state.kubernetesVersion)
        archives.push(...(await ensureImages(['kube-proxy'], { kubernetesVersion }, reporter)));
      const made = await ensureImages(['worker'], { kubernetesVersion, archives }, reporter);
      const infra = state.machines.filter(({ role }) => role === 'infra');
      await reporter.during('image of worker pods to the infra nodes', async () => {
        for (const machine of infra) await ensureImported(machine, machineFolder(state, machine), made);
      });
      return imageReferences.worker(kubernetesVersion);
    },
    90,
  );
}
