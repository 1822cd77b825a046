import { X509Certificate } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { certificatesIn } from '../pki/inspect.ts';
import type { Phase, Reporter } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import { ensureBinaries } from './artifacts/ensure.ts';
import { ensureContainerd, ensureImported } from './containerd.ts';
import { importedArchives } from './import-image.ts';
import { withSandboxLock } from './lock.ts';
import { ensureMachine, lastLines, stopMachine } from './machine.ts';
import { type MachineState, machineFolder, nameOption, requireState, type SandboxState, saveState } from './state.ts';
import { workerArchives } from './up.ts';
import { startWorker } from './worker.ts';

export interface JoinOptions {
  name: string;
  namespace: string;
  /** Folder with kubeconfig-kubelets, ca.pem and worker.sh: all that a person would upload to a machine. */
  dir: string;
  workers: number;
}

/** Seconds to wait for another command: joining and leaving take some seconds each. */
const patience = 90;

/** Lets idle worker machines join the hosted cluster of `namespace`, the way a real machine would. */
export async function sandboxJoin(options: JoinOptions, reporter: Reporter): Promise<MachineState[]> {
  return withSandboxLock(
    options.name,
    async () => {
      const state = requireState(options.name);
      const uploads = ['kubeconfig-kubelets', 'ca.pem', 'worker.sh'].map((file) => path.join(options.dir, file));
      const missing = uploads.filter((file) => !existsSync(file));
      if (missing.length > 0) {
        throw new UserError({
          what: `there is no ${missing.join(' and no ')}`,
          why: 'workers join with the bootstrap kubeconfig, the CA and the script that deploy writes',
          fix: words`deploy first (${command('deploy', options.namespace, field('host', 'HOST'))}), or name the folder with ${option('dir')}`,
          anchor: 'no-bootstrap-files',
          kind: 'refused',
        });
      }
      const machines = claim(state, options);
      await leaveEarlierPlanes(state, machines, uploads[1]!, reporter);
      const kubernetesVersion = kubeletVersion(state, readFileSync(uploads[2]!, 'utf8'));
      const { kubelet } = await ensureBinaries(['kubelet'], { kubernetesVersion }, reporter);
      const names = machines.map(({ name }) => name).join(', ');
      const join = async (phase: Phase) => {
        for (const machine of machines) await startWorker(state, machine, uploads, kubelet);
        await allJoined(state, machines, phase);
      };
      await reporter.during(`${names} joining`, join, `${names} joined`);
      return machines;
    },
    patience,
  );
}

/**
 * The plane's own version where the sandbox has a kubelet of it, as worker.sh advises: a newer kubelet than the API server is not
 * supported, and one that knows a feature gate of the plane as locked does not start.
 */
function kubeletVersion({ kubernetesVersion, alsoVersions = [] }: SandboxState, script: string): string {
  const wanted = /^kubernetes_version=(.*)$/m.exec(script)?.[1];
  return alsoVersions.find((version) => version === wanted) ?? kubernetesVersion;
}

/** Looks at the machine alone: a kubelet that has its certificate was accepted by the hosted cluster. */
async function allJoined(state: SandboxState, machines: MachineState[], phase: Phase): Promise<void> {
  for (const machine of machines) {
    phase.update(`${machine.name} waits for its certificate`);
    await waitFor({
      until: () => hasCertificate(state, machine),
      timeout: 60_000,
      every: 100,
      late: (after) =>
        new UserError({
          what: `${machine.name} has not joined the hosted cluster within ${after}`,
          why: `the last lines of its kubelet's log are\n${lastLines(state, machine, 'kubelet')}`,
          fix: words`check that the plane answers (${command('status')}) and that the bootstrap token has not expired (${command('token create', undefined, option('write'))})`,
          anchor: 'join-failed',
        }),
    });
  }
}

function hasCertificate(state: SandboxState, machine: MachineState): boolean {
  return lstatSync(certificateLink(state, machine), { throwIfNoEntry: false }) !== undefined;
}

/** The kubelet's link to its current certificate, which names a path that only the machine has. */
function certificateLink(state: SandboxState, machine: MachineState): string {
  return path.join(machineFolder(state, machine), 'root/var/lib/kubelet/pki/kubelet-client-current.pem');
}

/**
 * A plane that was destroyed leaves its workers as they are. Their kubelets hold certificates of its CA, and would go on
 * asking for the plane that is gone.
 */
async function leaveEarlierPlanes(
  state: SandboxState,
  machines: MachineState[],
  caFile: string,
  reporter: Reporter,
): Promise<void> {
  const trusted = certificatesIn(readFileSync(caFile, 'utf8')).map((pem) => new X509Certificate(pem));
  const strangers = machines.filter((machine) => {
    if (!hasCertificate(state, machine)) return false;
    const link = certificateLink(state, machine);
    const own = new X509Certificate(readFileSync(path.join(path.dirname(link), path.basename(readlinkSync(link)))));
    return !trusted.some((ca) => own.verify(ca.publicKey));
  });
  if (strangers.length === 0) return;
  const names = strangers.map(({ name }) => name).join(', ');
  await reporter.during(
    `${names} leaving a plane that is gone`,
    () => makeAnew(state, strangers, reporter),
    `${names} made anew: it had joined a plane that is gone`,
  );
}

/** Removes the workers of a plane: each machine is created again, so nothing of the cluster stays on it. */
export async function sandboxLeave(
  options: { name: string; namespace: string },
  reporter: Reporter,
): Promise<MachineState[]> {
  return withSandboxLock(
    options.name,
    async () => {
      const state = requireState(options.name);
      const machines = state.machines.filter(({ claimedBy }) => claimedBy === options.namespace);
      if (machines.length === 0) return [];
      const names = machines.map(({ name }) => name).join(', ');
      await reporter.during(`${names} leaving`, () => makeAnew(state, machines, reporter), `${names} idle again`);
      for (const machine of machines) machine.claimedBy = undefined;
      saveState(state);
      return machines;
    },
    patience,
  );
}

async function makeAnew(state: SandboxState, machines: MachineState[], reporter: Reporter): Promise<void> {
  const { pause } = await ensureBinaries(['pause'], {}, reporter);
  const archives = [...(await workerArchives(state, reporter)), ...importedArchives(state)];
  for (const machine of machines) {
    await stopMachine(state, machine);
    await ensureMachine(state, machine, pause);
  }
  await Promise.all(
    machines.map(async (machine) => {
      await ensureContainerd(state, machine);
      await ensureImported(machine, machineFolder(state, machine), archives);
    }),
  );
  saveState(state);
}

/** Machines that the plane has already, and idle ones until there are enough. */
function claim(state: SandboxState, { namespace, workers }: JoinOptions): MachineState[] {
  const own = state.machines.filter(({ role, claimedBy }) => role === 'worker' && claimedBy === namespace);
  const idle = state.machines.filter(({ role, claimedBy }) => role === 'worker' && claimedBy === undefined);
  const machines = [...own, ...idle.slice(0, Math.max(0, workers - own.length))];
  if (machines.length < workers) {
    const taken = [
      ...new Set(state.machines.flatMap(({ claimedBy }) => (claimedBy && claimedBy !== namespace ? [claimedBy] : []))),
    ];
    throw new UserError({
      what: `only ${machines.length} of ${workers} worker machines are idle`,
      why:
        taken.length > 0
          ? `others belong to the planes in ${taken.join(', ')}`
          : `the sandbox has ${machines.length} worker machines`,
      fix: words`add machines with: ${command('sandbox up', undefined, ...nameOption(state.name), option('workers', 'N'))}; or free some with: ${command('sandbox join', 'NAMESPACE', ...nameOption(state.name), option('leave'))}`,
      anchor: 'no-idle-workers',
      kind: 'refused',
    });
  }
  for (const machine of machines) machine.claimedBy = namespace;
  saveState(state);
  return machines;
}
