import path from 'node:path';
import { firstInfra } from './infra/credentials.ts';
import { ensureDaemon } from './machine.ts';
import { type SandboxState, sandboxFolder, writeIfChanged } from './state.ts';

// What a real cluster's nodes have in their resolv.conf: a server that knows the sandbox's hosts. No other name exists.

export const dnsAddress = (state: SandboxState): string => firstInfra(state).address;

const hostsFile = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'hosts');

/** @param coredns path of the program */
export function ensureDns(state: SandboxState, coredns: string): void {
  writeDnsHosts(state);
  const corefile = path.join(sandboxFolder(state.name), 'Corefile');
  writeIfChanged(
    corefile,
    `. {
    bind ${dnsAddress(state)}
    hosts ${hostsFile(state)} {
        ttl 5
        reload 1s
        fallthrough
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
    errors
}
`,
  );
  ensureDaemon(state, firstInfra(state), 'dns', [coredns, '-conf', corefile]);
}

/** The server reads the file again by itself. */
export function writeDnsHosts(state: SandboxState): void {
  writeIfChanged(hostsFile(state), state.hosts.map((host) => `${dnsAddress(state)} ${host}\n`).join(''));
}
