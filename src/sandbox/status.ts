import { readFileSync } from 'node:fs';
import { cacheSize } from './artifacts/cache.ts';
import { processesOf } from './cgroup.ts';
import { apiServer } from './infra/credentials.ts';
import { machineCgroup } from './machine.ts';
import { isAlive } from './process.ts';
import { requireState } from './state.ts';
import { versions } from './versions.ts';

export interface SandboxStatus {
  name: string;
  apiServer: string;
  ingress: string;
  versions: Record<string, string>;
  machines: {
    name: string;
    role: string;
    address: string;
    running: boolean;
    claimedBy?: string;
    daemons: Record<string, boolean>;
    memoryMiB: number;
  }[];
  hosts: string[];
  cacheMiB: number;
}

/** Machines and processes of a sandbox, with their memory. */
export async function sandboxStatus(name: string): Promise<SandboxStatus> {
  const state = requireState(name);
  return {
    name,
    apiServer: apiServer(state),
    ingress: state.machines.find(({ role }) => role === 'infra')!.address,
    versions: {
      kubernetes: state.kubernetesVersion,
      etcd: versions.etcd,
      coredns: versions.coredns,
      traefik: versions.traefik,
      'local-path-provisioner': versions.localPathProvisioner,
      ...(state.podNetwork === 'cilium' && { cilium: versions.cilium }),
    },
    machines: state.machines.map((machine) => ({
      name: machine.name,
      role: machine.role,
      address: machine.address,
      running: isAlive(machine.init),
      claimedBy: machine.claimedBy,
      daemons: Object.fromEntries(
        Object.entries(machine.daemons).map(([daemon, identity]) => [daemon, isAlive(identity)]),
      ),
      memoryMiB: Math.round(
        processesOf(machineCgroup(state, machine)).reduce((sum, pid) => sum + residentKiB(pid), 0) / 1024,
      ),
    })),
    hosts: state.hosts.filter((host) => state.elsewhere?.[host] === undefined),
    cacheMiB: Math.round((await cacheSize()) / 2 ** 20),
  };
}

/** Resident memory of a process; pages that several share are counted for each. */
function residentKiB(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
