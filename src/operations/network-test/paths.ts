import { contains, parseCidr } from '../../base/cidr.ts';
import {
  demandAnswer,
  describePod,
  failedFrom,
  type PodName,
  ports,
  RowFailure,
  runInPod,
  socketAddress,
  type TestSetup,
  twoWorkers,
} from './setup.ts';

/** Bytes that go each way: many packets of the full size, and a second on a slow line. */
const large = 8_388_608;

export async function otherWorker(setup: TestSetup): Promise<string> {
  await demandAnswer(setup, 'near', 'far').catch(sentBy(setup, 'hostNear', 'far'));
  await demandAnswer(setup, 'far', 'near').catch(sentBy(setup, 'hostFar', 'near'));
  return `from ${setup.pods.near.node} to ${setup.pods.far.node} and back`;
}

/** Adds to a failure where the worker sends packets for the pod. */
function sentBy(setup: TestSetup, host: PodName, to: PodName): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof RowFailure)) throw error;
    const [way, usual] = await Promise.all(
      [setup.pods[to].address, elsewhere(setup.pods[to].address)].map((each) => routeOf(setup, host, each)),
    );
    if (way === undefined) throw error;
    const from = setup.pods[host].node;
    const { node, address } = setup.pods[to];
    const cidr = parseCidr(setup.workers.find(({ name }) => name === node)?.podCidr ?? '');
    const network = cidr && contains(cidr, address) ? cidr.text : address;
    const open = setup.between.length > 0 ? `: is ${setup.between.join(' and ')} open between the workers?` : '';
    throw new RowFailure(
      way === usual
        ? `${from} has no route to ${network}, where the pods of ${node} are: it sends packets for them to its default gateway (${way}); ${error.message}`
        : `${from} sends packets for ${network} ${way}, and no answer comes back from ${node}${open}; ${error.message}`,
    );
  };
}

/** An address of the same family that is no pod's, of a network for documentation. */
const elsewhere = (address: string) => (address.includes(':') ? '2001:db8::1' : '192.0.2.1');

/** `via 10.2.1.0 dev flannel.1`, by which a worker sends packets for an address. */
async function routeOf(setup: TestSetup, host: PodName, address: string): Promise<string | undefined> {
  const line = await runInPod(setup, host, `ip route get ${address} | head -1`).catch(() => '');
  return /(via \S+ )?dev \S+/.exec(line)?.[0];
}

export async function largeTransfers(setup: TestSetup): Promise<string> {
  await send(setup, 'beside', 'near');
  if (twoWorkers(setup)) {
    await send(setup, 'near', 'far');
    await send(setup, 'far', 'near');
  }
  return `${large / 2 ** 20} MiB each way, MTU ${await mtuOf(setup, 'near')} in pods`;
}

async function send(setup: TestSetup, from: PodName, to: PodName): Promise<void> {
  const url = `http://${socketAddress(setup.pods[to].address)}/upload`;
  const command = `head -c ${large} /dev/zero | curl -sS -m 12 --connect-timeout 3 -o /dev/null -w '%{http_code}' -F 'file=@-;filename=zeros' ${url}`;
  const code = await runInPod(setup, from, command).catch(async (error) => {
    if (!(error instanceof RowFailure)) throw error;
    const host = setup.pods[from].node === setup.pods.hostNear.node ? 'hostNear' : 'hostFar';
    const [pod, worker] = await Promise.all([mtuOf(setup, from), mtuOf(setup, host)]);
    throw new RowFailure(
      `${large / 2 ** 20} MiB from ${describePod(setup, from)} to ${describePod(setup, to)}: ${error.message}. Small answers come and large ones do not, so packets of the full size are lost on the way: the MTU is ${pod} in pods and ${worker} on the worker's interface, and the network between the workers may carry less`,
    );
  });
  if (code !== '201') throw new RowFailure(`${describePod(setup, to)} answered ${large} bytes with ${code}`);
}

/** Of the interface by which packets leave. */
function mtuOf(setup: TestSetup, from: PodName): Promise<string> {
  const device = "$(ip route get 192.0.2.1 | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -1)";
  return runInPod(setup, from, `cat /sys/class/net/${device}/mtu`).catch(() => 'unknown');
}

/** Below this part of what the workers reach without pods, something is wrong rather than slow. */
const least = 0.02;

export async function throughput(setup: TestSetup): Promise<string> {
  const pods = await speed(setup, 'near', 'far');
  // Between workers nobody has to open that port: what pods send there is inside of other packets.
  const bare = await speed(setup, 'hostNear', 'hostFar').catch((error: unknown) => {
    if (!(error instanceof RowFailure)) throw error;
    return error.message;
  });
  if (typeof bare === 'string') return `${gigabits(pods)} between pods, compared with nothing: ${bare}`;
  const said = `${gigabits(pods)} between pods, ${gigabits(bare)} between the workers themselves (${Math.round((pods / bare) * 100)} %)`;
  if (pods / bare < least) throw new RowFailure(said);
  return said;
}

/** Bits a second. @throws RowFailure that says between whom */
async function speed(setup: TestSetup, from: PodName, to: PodName): Promise<number> {
  const whom = `${describePod(setup, to)}, port ${ports.speed}`;
  // iperf itself waits for two minutes for an answer.
  const command = `timeout 12 iperf -c ${setup.pods[to].address} -p ${ports.speed} -t 3 -f b -y C`;
  const line = (await runInPod(setup, from, command, 20).catch(failedFrom(setup, from, whom))).split('\n').at(-1)!;
  const bits = Number(line.split(',')[8]);
  if (!(bits > 0)) failedFrom(setup, from, whom)(new RowFailure(`iperf did not say a speed: ${line}`));
  return bits;
}

function gigabits(bits: number): string {
  return `${(bits / 1e9).toFixed(1)} Gbit/s`;
}
