import { run } from '../process.ts';

/*
 * What of the load balancer is in the network namespace of the first infra machine: its addresses, and one chain of iptables in two
 * tables. All of it can be read back, so a controller that was killed leaves nothing that the next one does not find.
 */

const chain = 'SANDBOX-LB';
const device = 'eth0';
/** In table, chain: where packets come by. */
const hooks = [
  ['nat', 'PREROUTING'],
  ['nat', 'OUTPUT'],
  ['filter', 'INPUT'],
] as const;

/** Connections to a port of an address that a program of this machine takes. */
export interface Redirect {
  address: string;
  port: number;
  /** Where the program listens. */
  to: number;
}

/** kube-proxy leads connections on that come to an address of the status, wherever they come in; here they come in. */
export async function addAddress(address: string): Promise<void> {
  await run('ip', ['address', 'replace', `${address}/32`, 'dev', device]);
}

export async function dropAddress(address: string): Promise<void> {
  if ((await addressesHere([address])).length > 0) await run('ip', ['address', 'del', `${address}/32`, 'dev', device]);
}

/** Those of the pool that the machine has. */
export async function addressesHere(pool: string[]): Promise<string[]> {
  const links = JSON.parse(await run('ip', ['-json', '-4', 'address', 'show', 'dev', device])) as {
    addr_info: { local: string }[];
  }[];
  return links.flatMap(({ addr_info }) => addr_info.map(({ local }) => local)).filter((each) => pool.includes(each));
}

/** Answers to what this machine dials from such an address pass. */
const opening = '-m conntrack --ctstate NEW';

/**
 * Writes the chain anew. What comes to an address and was led nowhere by then is for a port that its Service does not have: without a
 * rule, the machine's own programs would answer there, such as the ingress controller.
 */
export async function writeRules(addresses: string[], redirects: Redirect[]): Promise<void> {
  const nat = redirects.map(
    ({ address, port, to }) => `-A ${chain} -d ${address} -p tcp --dport ${port} -j REDIRECT --to-ports ${to}`,
  );
  const filter = addresses.map(
    (address) => `-A ${chain} -d ${address} -p tcp ${opening} -j REJECT --reject-with tcp-reset`,
  );
  const table = (name: string, rules: string[]) => [`*${name}`, `:${chain} - [0:0]`, ...rules, 'COMMIT'];
  const rules = [...table('nat', nat), ...table('filter', filter)].join('\n');
  await run('sh', ['-c', 'printf "%s\\n" "$0" | iptables-restore --wait --noflush', rules]);
  for (const [name, hook] of hooks) if (!(await isHooked(name, hook))) await iptables(name, '-I', hook, '-j', chain);
}

/** Takes the chain and all addresses of the pool away. */
export async function clearNetwork(pool: string[]): Promise<void> {
  for (const [name, hook] of hooks) while (await isHooked(name, hook)) await iptables(name, '-D', hook, '-j', chain);
  for (const name of new Set(hooks.map(([table]) => table))) {
    if (!(await succeeds(iptables(name, '-n', '-L', chain)))) continue;
    await iptables(name, '-F', chain);
    await iptables(name, '-X', chain);
  }
  for (const address of await addressesHere(pool)) await dropAddress(address);
}

const iptables = (table: string, ...args: string[]) => run('iptables', ['--wait', '-t', table, ...args]);

const isHooked = (table: string, hook: string) => succeeds(iptables(table, '-C', hook, '-j', chain));

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
