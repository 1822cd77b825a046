import path from 'node:path';
import { ensureDaemon } from './machine.ts';
import { firstInfra, type SandboxState, sandboxFolder, writeIfChanged } from './state.ts';

// The DNS server in the machines' resolv.conf (ensureResolvConf). It resolves the sandbox's hosts and no other name.

const corefile = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'Corefile');

/** @param coredns path of the program */
export function ensureDns(state: SandboxState, coredns: string): void {
  writeDnsHosts(state);
  ensureDaemon(state, firstInfra(state), 'dns', [coredns, '-conf', corefile(state)]);
}

/** The server reads the file again by itself, within 3 s. */
export function writeDnsHosts(state: SandboxState): void {
  const address = firstInfra(state).address;
  const zones = state.hosts.map(
    (host) => `${host} {
    bind ${address}
    template IN A {
        answer "{{ .Name }} 5 IN A ${state.elsewhere?.[host] ?? address}"
        fallthrough
    }
    template ANY ANY {
        rcode NOERROR
    }
}
`,
  );
  const others = `. {
    bind ${address}
    reload 2s 1s
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`;
  writeIfChanged(corefile(state), [others, ...zones].join(''));
}
