import { setTimeout as sleep } from 'node:timers/promises';
import { certificateStatus } from '../../src/operations/keys/certificates.ts';
import { findingsOf, writersOf } from './acknowledged.ts';
import { judge, type Verdict } from './history.ts';
import { changes } from './kill-points.ts';
import type { Outcome, Place } from './place.ts';
import type { Faults, Finding } from './report.ts';

const day = 86_400_000;
/** Seconds until the certificates end: enough for the deploy and for some writes. */
const left = 75;

export interface ClockReport extends Verdict {
  acknowledged: number;
  /** Writes that were acknowledged before the certificates ended. */
  before: number;
  /** Seconds from the start of the mending deploy until a write was acknowledged. */
  back: number | undefined;
  findings: Finding[];
  seconds: number;
}

/**
 * Lets all certificates of a plane but its CAs end while clients write to it, as after a year without maintenance: a `deploy`
 * with a clock that is behind makes such a plane. Then no client trusts the API server. `status` has to say why, the `deploy`
 * that `status` asks for has to mend the plane, and no acknowledged write may be lost. The clocks of the box and of the
 * components stay right.
 */
export async function outlive(place: Place, sandbox: string, faults: Faults): Promise<ClockReport> {
  const started = Date.now();
  const findings: Finding[] = [];
  const expect = (what: string, outcome: Outcome, well: boolean) => {
    if (!well) findings.push({ what, output: outcome.stdout + outcome.stderr });
  };
  const end = started + left * 1000;
  const deployed = await place.deploy({ clock: end - 365 * day - started }, '--etcd-storage', '1Gi');
  if (deployed.code !== 0) throw new Error(`deploy fails:\n${deployed.stderr}`);
  const leaves = (await certificateStatus(place.cluster)).filter(({ kind }) => kind === 'leaf');
  const last = Math.max(...leaves.map(({ notAfter }) => notAfter.getTime()));
  faults.progress(`${leaves.length} leaves, the last of which ends in ${Math.round((last - Date.now()) / 1000)} s`);
  const writers = await writersOf(place.cluster, sandbox);
  writers.start(3);
  await sleep(last + 3000 - Date.now());
  // Connections from before go on, so each client makes a new one after 20 calls.
  for (const patience = Date.now() + 60_000; writers.silence < 10_000 && Date.now() < patience; ) await sleep(500);
  const before = writers.acknowledged;
  if (writers.silence < 10_000) findings.push({ what: 'clients go on although every certificate has ended' });
  const status = await place.run(['status']);
  expect(
    'status does not say that certificates have ended',
    status,
    /certificate apiserver has expired: run k8sk8s deploy/.test(status.stdout) && status.code === 1,
  );
  const cure = Date.now();
  const mended = await place.deploy();
  expect(`the deploy that status asks for ended with ${mended.code}`, mended, mended.code === 0);
  for (const patience = Date.now() + 60_000; writers.acknowledged === before && Date.now() < patience; )
    await sleep(200);
  const back = writers.acknowledged === before ? undefined : (Date.now() - cure) / 1000;
  if (back === undefined) findings.push({ what: 'no write is acknowledged 60 s after deploy' });
  else faults.progress(`writes are acknowledged ${back.toFixed(1)} s after deploy began`);
  const again = await place.deploy();
  expect('a deploy after it fails or changes something', again, again.code === 0 && changes(again).length === 0);
  const verdict = await judge(await writers.stop());
  await place.destroy();
  findings.push(...findingsOf(verdict));
  const { acknowledged } = writers;
  return { ...verdict, acknowledged, before, back, findings, seconds: (Date.now() - started) / 1000 };
}
