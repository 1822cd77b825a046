import { contains, networksIn } from '../../base/cidr.ts';
import { isDualStack } from '../../config/network.ts';
import { ipv6Rows, type TestRow } from '../../plane/networks/test-rows.ts';
import { ipv6Addresses, ipv6Name, overIpv6 } from './ipv6.ts';
import { largeTransfers, otherWorker, throughput } from './paths.ts';
import { enforced, type PolicyRow } from './policies.ts';
import {
  at,
  failedFrom,
  get,
  getOften,
  podNames,
  RowFailure,
  reach,
  run,
  told,
  twoWorkers,
  type World,
} from './world.ts';

interface Row {
  /** Rows whose failure is reason enough for this one's. */
  needs: readonly TestRow[];
  /** Makes no sense with one worker. */
  twoWorkers?: true;
  /** @returns what was seen, in some words @throws RowFailure */
  run(world: World): Promise<string>;
}

const paths = ['pod-addresses', 'pod-to-pod-same-worker', 'pod-to-pod-other-worker'] as const;

const ipv6Paths = ['ipv6-pod-addresses', 'ipv6-pod-to-pod'] as const;

const policy = (row: PolicyRow): Row => ({ needs: paths, run: (world) => enforced(world, row) });

/** What is tried, by name; test-rows.ts has the order. */
export const rows: Record<TestRow, Row> = {
  'pod-addresses': { needs: [], run: podAddresses },
  'pod-to-pod-same-worker': { needs: ['pod-addresses'], run: sameWorker },
  'pod-to-pod-other-worker': { needs: ['pod-addresses'], twoWorkers: true, run: otherWorker },
  'host-to-pod': { needs: paths, run: hostToPod },
  'large-transfers': { needs: paths, run: largeTransfers },
  'pod-to-api': { needs: ['pod-addresses'], run: podToApi },
  'service-by-ip': { needs: paths, run: serviceByIp },
  'service-by-name': { needs: ['service-by-ip'], run: serviceByName },
  hairpin: { needs: ['service-by-ip'], run: hairpin },
  'node-port': { needs: ['service-by-ip'], run: nodePort },
  'session-affinity': { needs: ['service-by-ip'], run: sessionAffinity },
  'source-address': { needs: ['service-by-ip'], run: sourceAddress },
  'parallel-connections': { needs: ['service-by-ip'], run: parallelConnections },
  'ipv6-pod-addresses': { needs: [], run: ipv6Addresses },
  'ipv6-pod-to-pod': { needs: ['ipv6-pod-addresses'], run: overIpv6(sameWorker, otherWorkerToo, hostToPod) },
  'ipv6-large-transfers': { needs: ipv6Paths, run: overIpv6(largeTransfers) },
  'ipv6-service-by-ip': { needs: ipv6Paths, run: overIpv6(serviceByIp) },
  'ipv6-service-by-name': { needs: ['service-by-name', 'ipv6-service-by-ip'], run: ipv6Name },
  'ipv6-node-port': { needs: ['ipv6-service-by-ip'], run: overIpv6(nodePort) },
  'ipv6-source-address': { needs: ['ipv6-service-by-ip'], run: overIpv6(sourceAddress) },
  'policy-ingress-deny': policy('policy-ingress-deny'),
  'policy-ingress-by-namespace': policy('policy-ingress-by-namespace'),
  'policy-ingress-by-port': policy('policy-ingress-by-port'),
  'policy-egress-deny': policy('policy-egress-deny'),
  'policy-egress-by-namespace': policy('policy-egress-by-namespace'),
  'policy-egress-by-port': policy('policy-egress-by-port'),
  throughput: { needs: [...paths, 'large-transfers'], twoWorkers: true, run: throughput },
};

/** Whether a row is about something that this plane has. */
export function isOfPlane(row: TestRow, { podCidr }: Pick<World, 'podCidr'>): boolean {
  return isDualStack({ podCidr }) || !ipv6Rows.includes(row);
}

/** Whether this cluster has enough workers for a row. */
export function isPossible(row: TestRow, world: World): boolean {
  return !rows[row].twoWorkers || twoWorkers(world);
}

async function podAddresses({ missing, pods, podCidr }: World): Promise<string> {
  const inPods = podNames.filter((name) => !name.startsWith('host'));
  for (const name of inPods) if (missing[name] !== undefined) throw new RowFailure(missing[name]);
  const [network] = networksIn(podCidr);
  const stray = inPods.find((name) => !contains(network, pods[name].address));
  if (stray !== undefined)
    throw new RowFailure(
      `pod ${stray} on ${pods[stray].node} has the address ${pods[stray].address}, which is not in the plane's network of pods ${podCidr}: the driver was given another one`,
    );
  return `${inPods.map((name) => pods[name].address).join(', ')} of ${podCidr}`;
}

async function sameWorker(world: World): Promise<string> {
  await reach(world, 'beside', 'near');
  return `on ${world.pods.near.node}`;
}

async function otherWorkerToo(world: World): Promise<string> {
  return twoWorkers(world) ? otherWorker(world) : '';
}

async function hostToPod(world: World): Promise<string> {
  await reach(world, 'hostNear', 'near');
  await reach(world, 'hostNear', 'far');
  await reach(world, 'hostFar', 'near');
  return `from ${world.workers.map(({ name }) => name).join(' and ')} to pods of each`;
}

async function podToApi(world: World): Promise<string> {
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  const name = `kubernetes.default.svc.${world.dnsDomain}`;
  // The address is the Service's; whether its name is resolved, service-by-name says.
  const command = `curl -sS -m 10 --connect-timeout 5 --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" -o /dev/null -w '%{http_code}' --resolve ${name}:443:$KUBERNETES_SERVICE_HOST https://${name}/version`;
  for (const from of ['beside', 'far'] as const) {
    const code = await run(world, from, command).catch(failedFrom(world, from, 'the Service kubernetes'));
    if (code !== '200') throw new RowFailure(`the API answered ${told(world, from)} with ${code}`);
  }
  return 'with a ServiceAccount, by the Service kubernetes';
}

async function serviceByIp(world: World): Promise<string> {
  const address = world.services.web.spec.clusterIP!;
  // Often enough for every endpoint to have its turn.
  for (const from of ['beside', 'outside', 'hostNear', 'hostFar'] as const) await getOften(world, from, at(address), 6);
  return `${address}, from pods and from the workers themselves`;
}

async function serviceByName(world: World): Promise<string> {
  const name = `web.${world.pods.near.namespace}.svc.${world.dnsDomain}`;
  await get(world, 'beside', at('web'));
  await get(world, 'outside', at(name));
  return name;
}

async function hairpin(world: World): Promise<string> {
  const answer = await get(world, 'near', at(world.services.itself.spec.clusterIP!));
  if (answer !== 'near')
    throw new RowFailure(`pod near dialled a Service that leads to itself, and ${answer} answered`);
  return 'a pod reaches itself by its Service';
}

async function nodePort(world: World): Promise<string> {
  const port = world.services['node-port'].spec.ports![0]!.nodePort!;
  for (const from of ['beside', 'hostNear', 'hostFar'] as const)
    for (const { address } of world.workers) await get(world, from, at(address, port));
  return `port ${port} of ${world.workers.map(({ name }) => name).join(' and ')}`;
}

async function sessionAffinity(world: World): Promise<string> {
  const address = world.services.sticky.spec.clusterIP!;
  for (const from of ['beside', 'outside'] as const) {
    const answers = await getOften(world, from, at(address), 12);
    if (answers.length > 1)
      throw new RowFailure(`one client, ${told(world, from)}, was led to ${answers.join(' and ')} in turn`);
  }
  return '12 connections of each client came to one pod';
}

async function sourceAddress(world: World): Promise<string> {
  const { beside, near, far } = world.pods;
  for (const where of [near.address, far.address, world.services.web.spec.clusterIP!]) {
    const seen = (await get(world, 'beside', at(where), 'clientip')).replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    if (seen !== beside.address)
      throw new RowFailure(`${told(world, 'beside')} dialled ${where}, and was seen there as ${seen}`);
  }
  return "a pod's own address is seen, by its Service too";
}

async function parallelConnections(world: World): Promise<string> {
  const [count, together] = [400, 100];
  const where = at(world.services.web.spec.clusterIP!);
  const command = `curl -sS -Z --parallel-max ${together} --parallel-immediate -m 20 --connect-timeout 10 -o /dev/null -w '%{http_code}\\n' 'http://${where}/hostname?[1-${count}]'`;
  const answers = (await run(world, 'beside', command, 30).catch(failedFrom(world, 'beside', where))).split('\n');
  const good = answers.filter((each) => each === '200').length;
  if (good < count) throw new RowFailure(`${good} of ${count} connections, ${together} at a time, came to an answer`);
  return `${count} connections, ${together} at a time`;
}
