import { contains, networksIn } from '../../base/cidr.ts';
import { failedFrom, fetchFrom, podNames, RowFailure, runInPod, socketAddress, type TestSetup } from './setup.ts';

/** The same pods, workers and Services by their IPv6 addresses. */
function inIpv6(setup: TestSetup): TestSetup {
  const { pods, workers, services } = setup;
  const second = <T extends { address: string; secondAddress?: string }>(each: T): T => ({
    ...each,
    address: each.secondAddress ?? '',
  });
  const web = services['web-ipv6']!;
  return {
    ...setup,
    pods: Object.fromEntries(podNames.map((name) => [name, second(pods[name])])) as TestSetup['pods'],
    workers: workers.map((worker) => ({ ...second(worker), podCidr: undefined })),
    services: { ...services, web, 'node-port': web },
  };
}

/** What a row of IPv4 tries, with IPv6 addresses. */
export function overIpv6(...tries: ((setup: TestSetup) => Promise<string>)[]): (setup: TestSetup) => Promise<string> {
  return async (setup) => {
    const seen: string[] = [];
    for (const each of tries) seen.push(await each(inIpv6(setup)));
    return seen.filter(Boolean).join('; ');
  };
}

export async function ipv6Addresses({ missing, pods, workers, podCidr }: TestSetup): Promise<string> {
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
export async function ipv6Name(setup: TestSetup): Promise<string> {
  const { namespace } = setup.pods.near;
  const domain = `${namespace}.svc.${setup.dnsDomain}`;
  for (const [name, family] of [
    ['web-both', '4'],
    ['web-both', '6'],
    ['web-ipv6', '6'],
  ] as const) {
    const where = socketAddress(`${name}.${domain}`);
    const command = `curl -sS -${family} --connect-timeout 3 -m 5 http://${where}/hostname`;
    await runInPod(setup, 'beside', command).catch(failedFrom(setup, 'beside', `${where} over IPv${family}`));
  }
  await fetchFrom(setup, 'outside', socketAddress(`web-both.${domain}`));
  return `web-both.${domain} has an address of each family`;
}
