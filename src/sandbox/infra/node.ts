import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { dump } from 'js-yaml';
import { boxSettings } from '../box-settings.ts';
import { ensureDaemon, inside } from '../machine.ts';
import { ensureResolvConf } from '../network.ts';
import { type MachineState, machineFolder, type SandboxState, writeIfChanged } from '../state.ts';
import { podNetwork } from './control-plane.ts';
import type { InfraCredentials } from './credentials.ts';

const infraDns = '10.96.0.10';

/** Starts kubelet and kube-proxy on an infra machine, and gives it a pod network where Cilium does not. */
export async function ensureInfraNode(
  state: SandboxState,
  machine: MachineState,
  programs: Record<'kubelet' | 'kube-proxy', string>,
  credentials: InfraCredentials,
): Promise<void> {
  const folder = machineFolder(state, machine);
  if (state.podNetwork === 'bridge') await ensureBridgeNetwork(state, machine);
  ensureKubelet(state, machine, programs.kubelet, credentials);
  const proxy = path.join(folder, 'kube-proxy.yaml');
  writeIfChanged(
    proxy,
    dump({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      clientConnection: { kubeconfig: credentials.file('kube-proxy.kubeconfig') },
      clusterCIDR: podNetwork,
      hostnameOverride: machine.name,
      mode: 'iptables',
      oomScoreAdj: 0,
      conntrack: { maxPerCore: 0, min: 0, tcpCloseWaitTimeout: '0s', tcpEstablishedTimeout: '0s' },
    }),
  );
  ensureDaemon(state, machine, 'kube-proxy', [programs['kube-proxy'], `--config=${proxy}`]);
}

function ensureKubelet(
  state: SandboxState,
  machine: MachineState,
  program: string,
  credentials: InfraCredentials,
): void {
  const config = path.join(machineFolder(state, machine), 'kubelet.yaml');
  writeIfChanged(
    config,
    dump({
      ...boxSettings(state, machine),
      authentication: {
        anonymous: { enabled: false },
        x509: { clientCAFile: credentials.file('ca.crt') },
        webhook: { enabled: true },
      },
      authorization: { mode: 'Webhook' },
      cgroupDriver: 'cgroupfs',
      failCgroupV1: false,
      clusterDNS: [infraDns],
      clusterDomain: 'cluster.local',
      resolvConf: ensureResolvConf(state, machine),
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      tlsCertFile: credentials.file(`${machine.name}.crt`),
      tlsPrivateKeyFile: credentials.file(`${machine.name}.key`),
    }),
  );
  ensureDaemon(state, machine, 'kubelet', [
    program,
    `--config=${config}`,
    `--hostname-override=${machine.name}`,
    `--node-ip=${machine.address}`,
    `--kubeconfig=${credentials.file(`${machine.name}.kubeconfig`)}`,
  ]);
}

/** CNI's bridge plugin, and routes to the pods of the other machines. */
async function ensureBridgeNetwork(state: SandboxState, machine: MachineState): Promise<void> {
  const network = path.join(machineFolder(state, machine), 'root/etc/cni/net.d');
  mkdirSync(network, { recursive: true });
  writeIfChanged(path.join(network, '10-bridge.conflist'), JSON.stringify(bridgeNetwork(podSubnet(machine)), null, 2));
  for (const other of state.machines) {
    if (other.role === 'infra' && other !== machine)
      await inside(machine, ['ip', 'route', 'replace', podSubnet(other), 'via', other.address]);
  }
}

/** `10.244.N.0/24` for infra-N. */
function podSubnet(machine: MachineState): string {
  return `10.244.${machine.name.replace(/\D+/g, '')}.0/24`;
}

/** Pods are masqueraded towards everything else, so that hosted API servers reach the workers' kubelets. */
function bridgeNetwork(subnet: string): object {
  return {
    cniVersion: '1.0.0',
    name: 'infra',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}
