import { tellDns } from './dns.ts';
import { addHostsLine, removeHostsLine } from './hosts.ts';
import { withSandboxLock } from './lock.ts';
import { firstInfra, requireState, saveState } from './state.ts';

/**
 * Makes `host` resolve to the sandbox's ingress controller, or elsewhere, until the sandbox goes down: on this box by its
 * hosts file, on machines and in pods by the sandbox's DNS server.
 *
 * @param elsewhere an IPv4 address, such as another infra cluster's ingress controller
 * @returns its address
 */
export async function sandboxHost(name: string, host: string, elsewhere?: string): Promise<string> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      const address = elsewhere ?? firstInfra(state).address;
      if (!state.hosts.includes(host)) state.hosts.push(host);
      state.elsewhere = { ...state.elsewhere };
      delete state.elsewhere[host];
      if (elsewhere !== undefined) state.elsewhere[host] = elsewhere;
      saveState(state);
      await tellDns(state, host);
      await addHostsLine(name, host, address);
      return address;
    },
    90,
  );
}

/**
 * Takes a name back that `sandboxHost` gave.
 *
 * @returns false when the sandbox has no such name
 */
export async function takeHostBack(name: string, host: string): Promise<boolean> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      const had = state.hosts.includes(host);
      state.hosts = state.hosts.filter((each) => each !== host);
      if (state.elsewhere) delete state.elsewhere[host];
      saveState(state);
      // First: the box is as it was also where the DNS server has ended.
      await removeHostsLine(name, host);
      await tellDns(state, host);
      return had;
    },
    90,
  );
}
