import { Resolver } from 'node:dns/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { ensureDaemon } from './machine.ts';
import { isAlive, waitUntil } from './process.ts';
import { firstInfra, machineFolder, replaceFile, type SandboxState, sandboxFolder, writeIfChanged } from './state.ts';

// The DNS server in the machines' resolv.conf (ensureResolvConf). It resolves the sandbox's hosts and no other name.

const daemon = 'dns';
const corefile = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'Corefile');
const zoneFile = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'dns-zone');

/** @param coredns path of the program */
export function ensureDns(state: SandboxState, coredns: string): void {
  writeZone(state);
  writeIfChanged(corefile(state), config(state));
  ensureDaemon(state, firstInfra(state), daemon, [coredns, '-conf', corefile(state)]);
}

/**
 * The Corefile never changes. The plugin `reload` takes one that it reads while somebody writes it for an empty one, closes its
 * listeners, and does not look again: no machine could resolve a name until the sandbox was made anew.
 */
function config(state: SandboxState): string {
  return `. {
    bind ${firstInfra(state).address}
    errors
    file ${zoneFile(state)} {
        reload 200ms
    }
}
`;
}

/**
 * The plugin `file` reads a zone again when its SOA's serial has changed, so it must not meet a half of a zone, whose serial is the new
 * one. It does not start with a zone whose serial is 0, the checksum of no text.
 */
function writeZone(state: SandboxState): void {
  const names = state.hosts.map((host) => `${host}. 1 IN A ${addressOf(state, host)}\n`).join('');
  replaceFile(zoneFile(state), `@ 1 IN SOA ns. admin. ${crc32(`names:${names}`)} 60 60 60 1\n${names}`);
}

function addressOf(state: SandboxState, host: string): string {
  return state.elsewhere?.[host] ?? firstInfra(state).address;
}

/**
 * Gives the server the sandbox's names, and waits until it answers as they say for `host`, which was added or taken away.
 *
 * @throws Error when the server has ended, or still gives another answer after 10 s
 */
export async function tellDns(state: SandboxState, host: string): Promise<void> {
  writeZone(state);
  const machine = firstInfra(state);
  const log = path.join(machineFolder(state, machine), `${daemon}.log`);
  const wanted = state.hosts.includes(host) ? addressOf(state, host) : undefined;
  await waitUntil(`${host} as ${wanted ?? 'no name'} in the sandbox's DNS (its log: ${log})`, 10, async () => {
    if (!isAlive(machine.daemons[daemon]))
      throw new Error('the DNS server has ended; it starts again when the sandbox is brought up');
    return (await answerOf(machine.address, host)) === wanted || undefined;
  });
}

/** @returns undefined when the server has no such name */
async function answerOf(server: string, host: string): Promise<string | undefined> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([server]);
  try {
    return (await resolver.resolve4(host))[0];
  } catch (error) {
    // A name has no address and is there nevertheless when another name ends with it.
    if (['ENOTFOUND', 'ENODATA'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
