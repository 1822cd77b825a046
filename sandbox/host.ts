import { writeDnsHosts } from './dns.ts';
import { addHostsLine } from './hosts.ts';
import { withSandboxLock } from './lock.ts';
import { firstInfra, requireState, saveState } from './state.ts';

/**
 * Makes `host` resolve to the sandbox's ingress controller until the sandbox goes down: on this box by its hosts file, in
 * pods by the sandbox's DNS server.
 *
 * @returns its address
 */
export async function sandboxHost(name: string, host: string): Promise<string> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      const { address } = firstInfra(state);
      if (!state.hosts.includes(host)) {
        state.hosts.push(host);
        saveState(state);
      }
      writeDnsHosts(state);
      await addHostsLine(name, host, address);
      return address;
    },
    90,
  );
}
