import { contains, networksIn } from '../../base/cidr.ts';
import { isDualStack } from '../../config/network.ts';
import { ipv6Rows, type TestRow } from '../../plane/networks/test-rows.ts';
import { driverPods } from './driver-pods.ts';
import { ipv6Addresses, ipv6Name, overIpv6 } from './ipv6.ts';
import { largeTransfers, otherWorker, throughput } from './paths.ts';
import { enforced, type PolicyRow } from './policies.ts';
import {
  demandAnswer,
  describePod,
  failedFrom,
  fetchFrom,
  fetchManyTimes,
  podNames,
  RowFailure,
  runInPod,
  socketAddress,
  type TestSetup,
  twoWorkers,
} from './setup.ts';

interface Row {
  /** Rows whose failure is reason enough for this one's. */
  needs: readonly TestRow[];
  /** Makes no sense with one worker. */
  twoWorkers?: true;
  /** @returns what was seen, in some words @throws RowFailure */
  run(setup: TestSetup): Promise<string>;
}

const paths = ['pod-addresses', 'pod-to-pod-same-worker', 'pod-to-pod-other-worker'] as const;

const ipv6Paths = ['ipv6-pod-addresses', 'ipv6-pod-to-pod'] as const;

const policy = (row: PolicyRow): Row => ({ needs: paths, run: (setup) => enforced(setup, row) });

/** What is tried, by name; test-rows.ts has the order. */
export const rows: Record<TestRow, Row> = {
  'driver-pods': { needs: [], run: driverPods },
  // Without its driver's pods a network works on for a while, so what is tried below says something of its own.
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
export function isOfPlane(row: TestRow, { podCidr, driver }: Pick<TestSetup, 'podCidr' | 'driver'>): boolean {
  // Of a driver that a person brought, it is not known which pods are its own.
  if (row === 'driver-pods') return driver.apps !== undefined;
  return isDualStack({ podCidr }) || !ipv6Rows.includes(row);
}

/** Whether this cluster has enough workers for a row. */
export function isPossible(row: TestRow, setup: TestSetup): boolean {
  return !rows[row].twoWorkers || twoWorkers(setup);
}

async function podAddresses({ missing, pods, podCidr }: TestSetup): Promise<string> {
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

async function sameWorker(setup: TestSetup): Promise<string> {
  await demandAnswer(setup, 'beside', 'near');
  return `on ${setup.pods.near.node}`;
}

async function otherWorkerToo(setup: TestSetup): Promise<string> {
  return twoWorkers(setup) ? otherWorker(setup) : '';
}

async function hostToPod(setup: TestSetup): Promise<string> {
  await demandAnswer(setup, 'hostNear', 'near');
  await demandAnswer(setup, 'hostNear', 'far');
  await demandAnswer(setup, 'hostFar', 'near');
  return `from ${setup.workers.map(({ name }) => name).join(' and ')} to pods of each`;
}

async function podToApi(setup: TestSetup): Promise<string> {
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  const name = `kubernetes.default.svc.${setup.dnsDomain}`;
  // The address is the Service's; whether its name is resolved, service-by-name says.
  const command = `curl -sS -m 10 --connect-timeout 5 --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" -o /dev/null -w '%{http_code}' --resolve ${name}:443:$KUBERNETES_SERVICE_HOST https://${name}/version`;
  for (const from of ['beside', 'far'] as const) {
    const code = await runInPod(setup, from, command).catch(failedFrom(setup, from, 'the Service kubernetes'));
    if (code !== '200') throw new RowFailure(`the API answered ${describePod(setup, from)} with ${code}`);
  }
  return 'with a ServiceAccount, by the Service kubernetes';
}

async function serviceByIp(setup: TestSetup): Promise<string> {
  const address = setup.services.web.spec.clusterIP!;
  // Often enough for every endpoint to have its turn.
  for (const from of ['beside', 'outside', 'hostNear', 'hostFar'] as const)
    await fetchManyTimes(setup, from, socketAddress(address), 6);
  return `${address}, from pods and from the workers themselves`;
}

async function serviceByName(setup: TestSetup): Promise<string> {
  const name = `web.${setup.pods.near.namespace}.svc.${setup.dnsDomain}`;
  await fetchFrom(setup, 'beside', socketAddress('web'));
  await fetchFrom(setup, 'outside', socketAddress(name));
  return name;
}

async function hairpin(setup: TestSetup): Promise<string> {
  const answer = await fetchFrom(setup, 'near', socketAddress(setup.services.itself.spec.clusterIP!));
  if (answer !== 'near')
    throw new RowFailure(`pod near dialled a Service that leads to itself, and ${answer} answered`);
  return 'a pod reaches itself by its Service';
}

async function nodePort(setup: TestSetup): Promise<string> {
  const port = setup.services['node-port'].spec.ports![0]!.nodePort!;
  for (const from of ['beside', 'hostNear', 'hostFar'] as const)
    for (const { address } of setup.workers) await fetchFrom(setup, from, socketAddress(address, port));
  return `port ${port} of ${setup.workers.map(({ name }) => name).join(' and ')}`;
}

async function sessionAffinity(setup: TestSetup): Promise<string> {
  const address = setup.services.sticky.spec.clusterIP!;
  for (const from of ['beside', 'outside'] as const) {
    const answers = await fetchManyTimes(setup, from, socketAddress(address), 12);
    if (answers.length > 1)
      throw new RowFailure(`one client, ${describePod(setup, from)}, was led to ${answers.join(' and ')} in turn`);
  }
  return '12 connections of each client came to one pod';
}

async function sourceAddress(setup: TestSetup): Promise<string> {
  const { beside, near, far } = setup.pods;
  for (const where of [near.address, far.address, setup.services.web.spec.clusterIP!]) {
    const seen = (await fetchFrom(setup, 'beside', socketAddress(where), 'clientip'))
      .replace(/:\d+$/, '')
      .replace(/^\[|\]$/g, '');
    if (seen !== beside.address)
      throw new RowFailure(`${describePod(setup, 'beside')} dialled ${where}, and was seen there as ${seen}`);
  }
  return "a pod's own address is seen, by its Service too";
}

async function parallelConnections(setup: TestSetup): Promise<string> {
  const [count, together] = [400, 100];
  const where = socketAddress(setup.services.web.spec.clusterIP!);
  const command = `curl -sS -Z --parallel-max ${together} --parallel-immediate -m 20 --connect-timeout 10 -o /dev/null -w '%{http_code}\\n' 'http://${where}/hostname?[1-${count}]'`;
  const answers = (await runInPod(setup, 'beside', command, 30).catch(failedFrom(setup, 'beside', where))).split('\n');
  const good = answers.filter((each) => each === '200').length;
  if (good < count) throw new RowFailure(`${good} of ${count} connections, ${together} at a time, came to an answer`);
  return `${count} connections, ${together} at a time`;
}
