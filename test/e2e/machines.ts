import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureDaemon, inside } from '../../src/sandbox/machine.ts';
import { firstInfra, type MachineState, machineFolder, type SandboxState } from '../../src/sandbox/state.ts';

/** As systemd-resolved does it: programs of the machine ask 127.0.0.53, which forwards to the server that another file names. */
export async function resolveAsUbuntu(state: SandboxState, machine: MachineState): Promise<void> {
  const { address } = firstInfra(state);
  const upstream = `mkdir -p /run/systemd/resolve && echo nameserver ${address} >/run/systemd/resolve/resolv.conf`;
  await inside(machine, ['sh', '-c', upstream]);
  nameServer(state, machine, '127.0.0.53');
  const stub = ['socat', 'UDP4-RECVFROM:53,bind=127.0.0.53,fork', `UDP4-SENDTO:${address}:53`];
  ensureDaemon(state, machine, 'stub-resolver', stub);
}

/** Writes the machine's /etc/resolv.conf. */
export function nameServer(state: SandboxState, machine: MachineState, address: string): void {
  writeFileSync(path.join(machineFolder(state, machine), 'resolv.conf'), `nameserver ${address}\n`);
}

/** The names in the certificate that the machine's kubelet serves. */
export function servingNames(machine: MachineState): Promise<string> {
  const certificate = '/var/lib/kubelet/pki/kubelet-server-current.pem';
  return inside(machine, ['openssl', 'x509', '-noout', '-ext', 'subjectAltName', '-in', certificate]);
}
