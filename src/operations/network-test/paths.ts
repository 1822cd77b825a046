import { contains, parseCidr } from '../../base/cidr.ts';
import { at, type PodName, ports, RowFailure, reach, run, told, twoWorkers, type World } from './world.ts';

/** Bytes that go each way: many packets of the full size, and a second on a slow line. */
const large = 8_388_608;

export async function otherWorker(world: World): Promise<string> {
  await reach(world, 'near', 'far').catch(sentBy(world, 'hostNear', 'far'));
  await reach(world, 'far', 'near').catch(sentBy(world, 'hostFar', 'near'));
  return `from ${world.pods.near.node} to ${world.pods.far.node} and back`;
}

/** Adds to a failure where the worker sends packets for the pod. */
function sentBy(world: World, host: PodName, to: PodName): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof RowFailure)) throw error;
    const [way, usual] = await Promise.all(
      [world.pods[to].address, elsewhere(world.pods[to].address)].map((each) => routeOf(world, host, each)),
    );
    if (way === undefined) throw error;
    const from = world.pods[host].node;
    const { node, address } = world.pods[to];
    const cidr = parseCidr(world.workers.find(({ name }) => name === node)?.podCidr ?? '');
    const network = cidr && contains(cidr, address) ? cidr.text : address;
    const open = world.between.length > 0 ? `: is ${world.between.join(' and ')} open between the workers?` : '';
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
async function routeOf(world: World, host: PodName, address: string): Promise<string | undefined> {
  const line = await run(world, host, `ip route get ${address} | head -1`).catch(() => '');
  return /(via \S+ )?dev \S+/.exec(line)?.[0];
}

export async function largeTransfers(world: World): Promise<string> {
  await send(world, 'beside', 'near');
  if (twoWorkers(world)) {
    await send(world, 'near', 'far');
    await send(world, 'far', 'near');
  }
  return `${large / 2 ** 20} MiB each way, MTU ${await mtuOf(world, 'near')} in pods`;
}

async function send(world: World, from: PodName, to: PodName): Promise<void> {
  const url = `http://${at(world.pods[to].address)}/upload`;
  const command = `head -c ${large} /dev/zero | curl -sS -m 12 --connect-timeout 3 -o /dev/null -w '%{http_code}' -F 'file=@-;filename=zeros' ${url}`;
  const code = await run(world, from, command).catch(async (error) => {
    if (!(error instanceof RowFailure)) throw error;
    const [pod, worker] = await Promise.all([mtuOf(world, from), mtuOf(world, 'hostNear')]);
    throw new RowFailure(
      `${large / 2 ** 20} MiB from ${told(world, from)} to ${told(world, to)}: ${error.message}. Small answers come and large ones do not, so packets of the full size are lost on the way: the MTU is ${pod} in pods and ${worker} on the worker's interface, and the network between the workers may carry less`,
    );
  });
  if (code !== '201') throw new RowFailure(`${told(world, to)} answered ${large} bytes with ${code}`);
}

/** Of the interface by which packets leave. */
function mtuOf(world: World, from: PodName): Promise<string> {
  const device = "$(ip route get 192.0.2.1 | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -1)";
  return run(world, from, `cat /sys/class/net/${device}/mtu`).catch(() => 'unknown');
}

/** Below this part of what the workers reach without pods, something is wrong rather than slow. */
const least = 0.02;

export async function throughput(world: World): Promise<string> {
  const bare = await speed(world, 'hostNear', 'hostFar');
  const pods = await speed(world, 'near', 'far');
  const said = `${gigabits(pods)} between pods, ${gigabits(bare)} between the workers themselves (${Math.round((pods / bare) * 100)} %)`;
  if (pods / bare < least) throw new RowFailure(said);
  return said;
}

/** Bits a second. */
async function speed(world: World, from: PodName, to: PodName): Promise<number> {
  const command = `iperf -c ${world.pods[to].address} -p ${ports.speed} -t 3 -f b -y C`;
  const line = (await run(world, from, command, 20)).split('\n').at(-1)!;
  const bits = Number(line.split(',')[8]);
  if (!(bits > 0))
    throw new RowFailure(`iperf from ${told(world, from)} to ${told(world, to)} did not say a speed: ${line}`);
  return bits;
}

function gigabits(bits: number): string {
  return `${(bits / 1e9).toFixed(1)} Gbit/s`;
}
