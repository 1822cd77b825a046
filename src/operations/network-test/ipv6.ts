import { contains, networksIn } from '../../base/cidr.ts';
import { at, failedFrom, get, podNames, RowFailure, run, type World } from './world.ts';

/** The same pods, workers and Services by their IPv6 addresses. */
function inIpv6(world: World): World {
  const { pods, workers, services } = world;
  const second = <T extends { address: string; secondAddress?: string }>(each: T): T => ({
    ...each,
    address: each.secondAddress ?? '',
  });
  const web = services['web-ipv6']!;
  return {
    ...world,
    pods: Object.fromEntries(podNames.map((name) => [name, second(pods[name])])) as World['pods'],
    workers: workers.map((worker) => ({ ...second(worker), podCidr: undefined })),
    services: { ...services, web, 'node-port': web },
  };
}

/** What a row of IPv4 tries, with IPv6 addresses. */
export function overIpv6(...tries: ((world: World) => Promise<string>)[]): (world: World) => Promise<string> {
  return async (world) => {
    const seen: string[] = [];
    for (const each of tries) seen.push(await each(inIpv6(world)));
    return seen.filter(Boolean).join('; ');
  };
}

export async function ipv6Addresses({ missing, pods, workers, podCidr }: World): Promise<string> {
  const network = networksIn(podCidr)[1]!;
  const inPods = podNames.filter((name) => !name.startsWith('host'));
  for (const name of inPods) {
    if (missing[name] !== undefined) throw new RowFailure(missing[name]);
    const { secondAddress = '', node } = pods[name];
    if (!contains(network, secondAddress))
      throw new RowFailure(
        secondAddress === ''
          ? `pod ${name} on ${node} has no IPv6 address: the driver gave it ${pods[name].address} alone`
          : `pod ${name} on ${node} has the address ${secondAddress}, which is not in the plane's network of pods ${network.text}: the driver was given another one`,
      );
  }
  const without = workers.find(({ secondAddress }) => secondAddress === undefined);
  if (without)
    throw new RowFailure(`${without.name} itself has no IPv6 address: its kubelet was started with one --node-ip`);
  return `${inPods.map((name) => pods[name].secondAddress).join(', ')} of ${network.text}`;
}

/** A Service of both families has a name with an address of each, and one of IPv6 alone has one with that alone. */
export async function ipv6Name(world: World): Promise<string> {
  const { namespace } = world.pods.near;
  const domain = `${namespace}.svc.${world.dnsDomain}`;
  for (const [name, family] of [
    ['web-both', '4'],
    ['web-both', '6'],
    ['web-ipv6', '6'],
  ] as const) {
    const where = at(`${name}.${domain}`);
    const command = `curl -sS -${family} --connect-timeout 3 -m 5 http://${where}/hostname`;
    await run(world, 'beside', command).catch(failedFrom(world, 'beside', `${where} over IPv${family}`));
  }
  await get(world, 'outside', at(`web-both.${domain}`));
  return `web-both.${domain} has an address of each family`;
}
