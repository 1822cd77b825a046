import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import type { Reporter } from '../ui/reporter.ts';
import { ensureBinaries, ensureImages } from './artifacts/ensure.ts';
import { ciliumPackages, ensurePackages } from './artifacts/packages.ts';
import { ensureContainerd, ensureImported } from './containerd.ts';
import { ensureDns } from './dns.ts';
import { importedArchives } from './import-image.ts';
import { addonsReady, applyAddons, nodesReady } from './infra/addons.ts';
import { ensureCiliumAgent, ensureCiliumOperator, ensureCiliumPrograms } from './infra/cilium.ts';
import { ensureControlPlane } from './infra/control-plane.ts';
import { InfraCredentials } from './infra/credentials.ts';
import { ensureInfraNode } from './infra/node.ts';
import { ensureLoadBalancer } from './load-balancer/switch.ts';
import { withSandboxLock } from './lock.ts';
import { ensureMachine } from './machine.ts';
import { ensureBridge, freeNetwork } from './network.ts';
import { requireBox, roomOnDisk } from './requirements.ts';
import {
  firstInfra,
  loadState,
  type MachineState,
  machineFolder,
  newState,
  type PodNetwork,
  type SandboxState,
  sandboxFolder,
  saveState,
} from './state.ts';
import type { ImageName } from './versions.ts';
import { versions } from './versions.ts';

export interface UpOptions {
  name: string;
  workers: number;
  infraNodes: number;
  /** Kubernetes version of the infra cluster, of the planes' images and of the workers' kubelets. */
  kubernetesVersion?: string;
  /** More versions whose control plane images the infra machines get. */
  alsoVersions?: string[];
  /** Network of the infra cluster; an existing sandbox keeps its own. */
  podNetwork?: PodNetwork;
  /** Gives addresses to Services of type LoadBalancer. */
  loadBalancer?: boolean;
}

/** The images that each machine has in its containerd from the beginning. */
const planeImages: ImageName[] = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
const infraImages: ImageName[] = [
  'pause',
  'busybox',
  'coredns',
  'traefik',
  'local-path-provisioner',
  'node',
  ...planeImages,
];
const workerImages: ImageName[] = [
  'pause',
  'busybox',
  'coredns',
  'kube-proxy',
  'flannel',
  'flannel-cni-plugin',
  'node',
  'agnhost',
];

/**
 * An infra cluster and idle worker machines on this box. What exists and runs stays unchanged; what is missing or has stopped
 * is started again.
 *
 * @throws UserError when the box cannot carry a sandbox
 */
export async function sandboxUp(options: UpOptions, reporter: Reporter): Promise<SandboxState> {
  await requireBox();
  return withSandboxLock(options.name, async () => {
    const there = loadState(options.name);
    const version = there?.kubernetesVersion ?? options.kubernetesVersion ?? versions.kubernetes;
    const podNetwork = choosePodNetwork(options, there);
    const step = stepper(reporter);
    await ensurePackages(reporter, podNetwork === 'cilium' ? ciliumPackages : []);
    const programs = await ensureBinaries('core', { kubernetesVersion: version }, reporter);
    const cilium = podNetwork === 'cilium' ? await ensureCiliumPrograms(reporter) : undefined;
    const alsoVersions = [...new Set([...(there?.alsoVersions ?? []), ...(options.alsoVersions ?? [])])];
    const archives = await imageArchives(version, alsoVersions, reporter);

    const state = there ?? newState(options.name, version, freeNetwork(), podNetwork);
    const before = state.machines.length;
    addMachines(state, options);
    for (const kubernetesVersion of alsoVersions) await ensureBinaries(['kubelet'], { kubernetesVersion }, reporter);
    state.alsoVersions = alsoVersions;
    if (options.loadBalancer) state.loadBalancer = true;
    saveState(state);
    const tight = roomOnDisk(sandboxFolder(state.name), state.machines.slice(before));
    if (tight !== undefined) reporter.warn(tight);
    const credentials = new InfraCredentials(state);
    const infra = state.machines.filter(({ role }) => role === 'infra');
    await step('certificates of the infra cluster', () => credentials.ensure());
    await step(`machines: ${state.machines.map(({ name }) => name).join(', ')}`, async () => {
      await ensureBridge(state);
      for (const machine of state.machines) await ensureMachine(state, machine, programs.pause);
      await Promise.all(state.machines.map((machine) => ensureContainerd(state, machine)));
    });
    const importing = Promise.all(
      state.machines.map((machine) =>
        ensureImported(machine, machineFolder(state, machine), [...archives[machine.role], ...importedArchives(state)]),
      ),
    );
    importing.catch(() => undefined);
    await step(`control plane of the infra cluster on ${firstInfra(state).name}`, () =>
      ensureControlPlane(state, programs, credentials),
    );
    ensureDns(state, programs.coredns);
    ensureLoadBalancer(state);
    // Cilium's operator needs seconds for its CustomResourceDefinitions, and the agents wait for them.
    if (cilium) ensureCiliumOperator(state, cilium, credentials);
    await step('add-ons applied: CoreDNS, ingress controller, storage', () =>
      applyAddons(programs.kubectl, credentials),
    );
    await step('images imported', () => importing);
    await step(`nodes Ready: ${infra.map(({ name }) => name).join(', ')}`, async () => {
      for (const machine of infra) await ensureInfraNode(state, machine, programs, credentials);
      if (cilium) for (const machine of infra) ensureCiliumAgent(state, machine, cilium, credentials);
      await nodesReady(programs.kubectl, credentials, state);
    });
    await step('add-ons Ready', (report) => addonsReady(programs.kubectl, credentials, report));
    return state;
  });
}

function choosePodNetwork({ name, podNetwork }: UpOptions, there: SandboxState | undefined): PodNetwork {
  if (!there || podNetwork === undefined || podNetwork === there.podNetwork)
    return there?.podNetwork ?? podNetwork ?? 'bridge';
  throw new UserError({
    what: `sandbox "${name}" has the network ${there.podNetwork}, not ${podNetwork}`,
    why: 'a sandbox keeps its first network, because its pods have their addresses from it',
    fix: words`start another sandbox with ${option('name')}, or remove this one first: ${command('sandbox down', undefined, option('name', name))}`,
    anchor: 'bad-values',
    kind: 'usage',
  });
}

async function imageArchives(
  version: string,
  alsoVersions: string[],
  reporter: Reporter,
): Promise<Record<MachineState['role'], string[]>> {
  const others = await Promise.all(
    alsoVersions.map((kubernetesVersion) => ensureImages('plane', { kubernetesVersion }, reporter)),
  );
  return {
    infra: [...(await ensureImages(infraImages, { kubernetesVersion: version }, reporter)), ...others.flat()],
    worker: [
      ...(await ensureImages(workerImages, { kubernetesVersion: version }, reporter)),
      ...others.flat().filter((file) => file.includes('/kube-proxy/')),
    ],
  };
}

/** The wanted machines that the state does not have yet; existing machines stay, also when fewer are wanted. */
function addMachines(state: SandboxState, { infraNodes, workers }: UpOptions): void {
  for (const [role, count, offset] of [
    ['infra', infraNodes, 10],
    ['worker', workers, 100],
  ] as const) {
    for (let number = 1; number <= count; number++) {
      const name = `${role}-${number}`;
      if (!state.machines.some((machine) => machine.name === name))
        state.machines.push({ name, role, address: `${state.network}.${offset + number}`, daemons: {} });
    }
  }
}

/** Runs a step with a live line that ends with the time it took. */
function stepper(
  reporter: Reporter,
): (title: string, work: (report: (now: string) => void) => Promise<unknown>) => Promise<void> {
  return async (title, work) => {
    await reporter.during(title, (phase) => work((now) => phase.update(now)));
  };
}

/** The images that a worker starts with, for one that is made anew. */
export async function workerArchives(state: SandboxState, reporter: Reporter): Promise<string[]> {
  return (await imageArchives(state.kubernetesVersion, state.alsoVersions ?? [], reporter)).worker;
}
