import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { dump } from 'js-yaml';
import { ensureDaemon, machineCgroup } from './machine.ts';
import { ensureResolvConf } from './network.ts';
import { type MachineState, machineFolder, type SandboxState, writeIfChanged } from './state.ts';

export interface KubeletOptions {
  /** Path of the kubelet. */
  program: string;
  clientCaFile: string;
  clusterDns: string;
  clusterDomain: string;
  /** Fields of KubeletConfiguration that differ between infra nodes and workers. */
  configuration: Record<string, unknown>;
  flags: string[];
}

/** Starts a kubelet on the machine, with the settings for a box without systemd, kernel modules and CAP_SYS_RESOURCE. */
export function ensureKubelet(state: SandboxState, machine: MachineState, options: KubeletOptions): void {
  const folder = machineFolder(state, machine);
  mkdirSync(folder, { recursive: true });
  const config = path.join(folder, 'kubelet.yaml');
  writeIfChanged(
    config,
    dump({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      authentication: {
        anonymous: { enabled: false },
        x509: { clientCAFile: options.clientCaFile },
        webhook: { enabled: true },
      },
      authorization: { mode: 'Webhook' },
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${machineCgroup(state, machine)}`,
      clusterDNS: [options.clusterDns],
      clusterDomain: options.clusterDomain,
      resolvConf: ensureResolvConf(state, machine),
      oomScoreAdj: 0,
      failCgroupV1: false,
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      // Images are imported and cannot be pulled again, so a pod with imagePullPolicy Always must not make other pods pull.
      imagePullCredentialsVerificationPolicy: 'NeverVerify',
      imageGCHighThresholdPercent: 100,
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      maxPods: 250,
      ...options.configuration,
    }),
  );
  ensureDaemon(state, machine, 'kubelet', [
    options.program,
    `--config=${config}`,
    `--hostname-override=${machine.name}`,
    `--node-ip=${machine.address}`,
    ...options.flags,
  ]);
}
