import { addHostsLine } from './hosts.ts';
import { firstInfra } from './infra/credentials.ts';
import { requireState, saveState } from './state.ts';

/** Makes `host` resolve to the sandbox's ingress controller, until the sandbox goes down. @returns its address */
export function sandboxHost(name: string, host: string): string {
  const state = requireState(name);
  const { address } = firstInfra(state);
  if (!state.hosts.includes(host)) {
    state.hosts.push(host);
    saveState(state);
  }
  addHostsLine(name, host, address);
  return address;
}
