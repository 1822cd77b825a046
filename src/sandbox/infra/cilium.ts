import { cpSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { Reporter } from '../../ui/reporter.ts';
import { ensureBinaries } from '../artifacts/ensure.ts';
import { compilers } from '../artifacts/packages.ts';
import { ensurePlugin } from '../containerd.ts';
import { ensureDaemon } from '../machine.ts';
import { firstInfra, type MachineState, machineFolder, type SandboxState } from '../state.ts';
import { podNetwork } from './control-plane.ts';
import type { InfraCredentials } from './credentials.ts';

const names = ['cilium-agent', 'cilium-operator', 'cilium-cni', 'cilium-bpf'] as const;

/** Where the programs lie, and the folder of the agent's C sources. */
type CiliumPrograms = Record<(typeof names)[number], string>;

export const ensureCiliumPrograms = (reporter: Reporter): Promise<CiliumPrograms> =>
  ensureBinaries(names, {}, reporter);

/** Starts the operator, one for the cluster: it gives each node its range of pod addresses, and makes Cilium's CustomResourceDefinitions. */
export function ensureCiliumOperator(
  state: SandboxState,
  programs: CiliumPrograms,
  credentials: InfraCredentials,
): void {
  ensureDaemon(state, firstInfra(state), 'cilium-operator', [
    programs['cilium-operator'],
    `--k8s-kubeconfig-path=${credentials.file('admin.kubeconfig')}`,
    ...common,
    // Namespace of the operator's Lease.
    '--k8s-namespace=kube-system',
    `--cluster-pool-ipv4-cidr=${podNetwork}`,
    '--operator-prometheus-serve-addr=127.0.0.1:9963',
  ]);
}

/**
 * Cilium's agent on an infra machine, as a process like its kube-proxy, which stays: the agent is there for the pods'
 * addresses and for network policies. Once it can take pods, it writes the configuration by which containerd calls its CNI
 * plugin. Its programs and maps in the kernel live in the machine's own mount of bpffs and on links of the machine's
 * network namespace, so that they end with the machine.
 */
export function ensureCiliumAgent(
  state: SandboxState,
  machine: MachineState,
  programs: CiliumPrograms,
  credentials: InfraCredentials,
): void {
  ensurePlugin(state, machine, programs['cilium-cni']);
  const library = path.join(machineFolder(state, machine), 'cilium');
  ensureSources(library, programs['cilium-bpf']);
  ensureDaemon(
    state,
    machine,
    'cilium-agent',
    [
      programs['cilium-agent'],
      `--k8s-kubeconfig-path=${credentials.file('admin.kubeconfig')}`,
      ...common,
      `--lib-dir=${library}`,
      '--bpf-root=/run/cilium/bpf',
      '--write-cni-conf-when-ready=/etc/cni/net.d/05-cilium.conflist',
      '--cni-chaining-mode=portmap',
      // Policies for HTTP need Envoy, which is not written in Go.
      '--enable-l7-proxy=false',
      '--enable-hubble=false',
      '--enable-health-checking=false',
      '--enable-endpoint-health-checking=false',
      // The maps hold a few hundred connections and take 40 MiB of kernel memory instead of 130.
      '--bpf-map-dynamic-size-ratio=0.0005',
    ],
    { PATH: `${compilers}:${process.env.PATH}` },
  );
}

const common = ['--enable-ipv6=false', '--identity-allocation-mode=crd'];

/** Each machine has its own sources: the agent writes the features of the kernel beside them. */
function ensureSources(library: string, sources: string): void {
  const folder = path.join(library, 'bpf');
  if (existsSync(folder)) return;
  mkdirSync(library, { recursive: true });
  cpSync(sources, `${folder}.next`, { recursive: true, filter: (file) => path.basename(file) !== 'tests' });
  renameSync(`${folder}.next`, folder);
}
