import { setTimeout as sleep } from 'node:timers/promises';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import { openPlane } from '../../src/live/open.ts';
import { administrator } from '../../src/pki/certificates.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { quotaReached, volumesFilled } from './full.ts';
import { judge, type Verdict, Writers } from './history.ts';
import type { Place } from './place.ts';
import { kills, nodeDeath, otherFaults, type PlaneFault, PlaneOnBox } from './plane-faults.ts';
import { shuffled } from './random.ts';
import type { Faults, Finding } from './report.ts';
import type { Extent } from './run.ts';

/**
 * Longest time without an acknowledged write in seconds, between the start of a fault and the moment when the whole plane was
 * ready again.
 */
interface FaultRow {
  times: number;
  longestGap: number;
}

export interface AcknowledgedReport extends Verdict {
  acknowledged: number;
  /** By the name of the fault. */
  faults: Record<string, FaultRow>;
  /** Answered calls, by the address of the API server. */
  servers: Record<string, number>;
  findings: Finding[];
  seconds: number;
}

const members = 3;
const replicas = 2;

/**
 * Writers on a plane's hosted cluster, through the node port: each new connection reaches one of the API servers, by chance.
 */
export async function writersOf(cluster: InfraCluster, sandbox: string): Promise<Writers> {
  const { addresses, bundle, spec } = await openPlane(cluster);
  return new Writers({
    host: firstInfra(requireState(sandbox)).address,
    port: addresses.nodePort!,
    servername: spec.host,
    ca: bundle.authorities.ca!.certificate,
    client: await administrator(bundle),
    namespace: 'default',
  });
}

/**
 * Lets clients write to a plane with several pods of each component while one fault after the other happens, and judges all
 * answers that the clients got.
 *
 * @param extent `rounds`: how often each component is killed; of the other faults, a third as often
 */
export async function checkAcknowledgedWrites(
  place: Place,
  sandbox: string,
  extent: Pick<Extent, 'rounds' | 'nodeDeaths' | 'fullVolumes'>,
  faults: Faults,
): Promise<AcknowledgedReport> {
  const started = Date.now();
  const deployed = await place.deploy(
    {},
    ...['--etcd-members', String(members), '--replicas', String(replicas), '--etcd-storage', '1Gi'],
  );
  if (deployed.code !== 0) throw new Error(`deploy fails:\n${deployed.stderr}`);
  const plane = new PlaneOnBox(place.cluster, sandbox, members + 3 * replicas);
  const writers = await writersOf(place.cluster, sandbox);
  const rows: Record<string, FaultRow> = {};
  const findings: Finding[] = [];
  await plane.whole();
  writers.start(6);
  try {
    for (const fault of inOrder(place, extent, faults.random)) {
      if (faults.isOver()) break;
      writers.nextEpoch();
      writers.longestGap = 0;
      await fault.happen(plane, faults.random);
      await plane.whole();
      await writesGoOn(writers, 120);
      const gap = writers.longestGap / 1000;
      const before = rows[fault.name] ?? { times: 0, longestGap: 0 };
      rows[fault.name] = { times: before.times + 1, longestGap: Math.max(before.longestGap, gap) };
      faults.progress(`${fault.name}: ${gap.toFixed(1)} s without an acknowledged write`);
    }
  } catch (error) {
    const status = await place.run(['status']);
    findings.push({ what: (error as Error).message, output: status.stdout + status.stderr });
  }
  const verdict = await judge(await writers.stop());
  findings.push(...findingsOf(verdict));
  await plane.close();
  await place.destroy();
  return {
    ...verdict,
    acknowledged: writers.acknowledged,
    faults: rows,
    servers: Object.fromEntries(writers.servers),
    findings,
    seconds: (Date.now() - started) / 1000,
  };
}

function inOrder(
  place: Place,
  { rounds, nodeDeaths, fullVolumes }: Pick<Extent, 'rounds' | 'nodeDeaths' | 'fullVolumes'>,
  random: () => number,
): PlaneFault[] {
  const passing = Array.from({ length: rounds }, (_, round) =>
    shuffled(round % 3 === 0 ? [...kills, ...otherFaults] : kills, random),
  );
  return [
    ...passing.flat(),
    ...Array.from({ length: nodeDeaths }, () => nodeDeath),
    ...(fullVolumes ? [...volumesFilled(place), quotaReached(place)] : []),
  ];
}

/** @throws Error when 20 more writes are not acknowledged in time */
async function writesGoOn(writers: Writers, seconds: number): Promise<void> {
  const before = writers.acknowledged;
  for (const deadline = Date.now() + seconds * 1000; writers.acknowledged < before + 20; await sleep(100))
    if (Date.now() > deadline) throw new Error(`writes are not acknowledged ${seconds} s after everything was ready`);
}

export function findingsOf({ lost, stale, resurrected, broken, undecided }: Verdict): Finding[] {
  const told = new Set([...lost, ...stale, ...resurrected]);
  return [
    ...lost.map((key) => ({ what: `${key}: an acknowledged write is lost` })),
    ...stale.map((key) => ({ what: `${key}: a read after an acknowledged write shows the older value` })),
    ...resurrected.map((key) => ({ what: `${key}: a deleted object came back` })),
    ...broken
      .filter((key) => !told.has(key))
      .map((key) => ({ what: `${key}: no order of the calls explains the answers` })),
    ...undecided.map((key) => ({ what: `${key}: its history could not be judged in time` })),
  ];
}
