import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { knownMinors, newest } from '../../src/config/versions.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { ConfigMap, Secret } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { rotationStatus } from '../../src/operations/keys/rotate-ca/rotation-status.ts';
import { trusted } from '../../src/pki/authority.ts';
import {
  at,
  changes,
  difference,
  find,
  type KillExtent,
  type KillPoint,
  type KillReport,
  killPointsOf,
  nameOfPoint,
  newReport,
} from './kill-points.ts';
import type { Outcome, Place } from './place.ts';
import { evenly, shuffled } from './random.ts';
import type { Faults } from './report.ts';

/** A command that changes a plane in several steps, and can be run again when it was killed. */
interface SteppedCommand {
  args: string[];
  /** Brings the plane to where the command begins. */
  prepare(place: Place): Promise<void>;
  /** What has to be another after it. */
  look?(place: Place): Promise<string>;
  /** What is to be seen of it, besides the objects of the plane; nothing when it is as it has to be. */
  problems?(place: Place): Promise<string[]>;
  /** Whether the killed run came to its end, so that who asks does not run it again: it would begin anew. */
  isDone?(place: Place): Promise<boolean>;
  /** Whether the plane answers afterwards. */
  answers: boolean;
}

const passphrase = ['--passphrase-file', 'passphrase'];
const storage = ['--etcd-storage', '1Gi'];
/** What `upgrade` begins with; the sandbox has to have its images. */
export const versionBefore = knownMinors[1]!.patch;

/** As an administrator brings it to its end: where a run stops in between, the next one goes on. */
const rotations = ['certs', 'rotate-ca', '--yes', '--authority'];

const steppedCommands = {
  sleep: {
    args: ['sleep'],
    prepare: (place) => succeed(place, 'wake'),
    answers: false,
    problems: async (place) =>
      (await place.state()).names.some((name) => /^pod /i.test(name)) ? ['pods are left'] : [],
  },
  wake: { args: ['wake'], prepare: (place) => succeed(place, 'sleep'), answers: true },
  'encrypt-rotate': {
    args: ['encrypt', 'rotate'],
    prepare: async () => undefined,
    look: (place) => answer(place, 'encrypt', 'status'),
    answers: true,
    problems: async (place) => {
      const now = JSON.parse(await answer(place, 'encrypt', 'status', '--output', 'json')) as Record<string, unknown>;
      const wanted = { stage: 'encrypted', inUse: true, unfinished: false };
      return Object.entries(wanted).flatMap(([field, value]) =>
        now[field] === value ? [] : [`${field} is ${now[field]}`],
      );
    },
  },
  renew: { args: ['certs', 'renew'], prepare: async () => undefined, look: leavesOf, answers: true },
  // Two that workers do not know, which end in one run.
  'rotate-ca': {
    args: [...rotations, 'front-proxy-ca', 'etcd-ca'],
    prepare: async () => undefined,
    look: authoritiesOf,
    answers: true,
    problems: rotationProblems,
  },
  // What workers know, in its second run, which drops the old ones.
  'rotate-ca-drop': {
    args: [...rotations, 'ca', 'kubelet-serving-ca'],
    prepare: (place) => succeed(place, ...rotations, 'ca', 'kubelet-serving-ca'),
    look: authoritiesOf,
    isDone: async (place) => (await rotationProblems(place)).length === 0,
    answers: true,
    problems: rotationProblems,
  },
  restore: {
    args: ['restore', 'plane.backup', ...passphrase],
    async prepare(place) {
      if (!existsSync(path.join(place.folder, 'plane.backup'))) {
        writeFileSync(path.join(place.folder, 'passphrase'), 'only for this run\n');
        await succeed(place, 'backup', 'create', 'plane.backup', ...passphrase);
      }
      expectSuccess(await place.destroy());
    },
    answers: true,
  },
  upgrade: {
    args: ['upgrade', '--to', newest.patch, '--no-backup', '--observe', '1s'],
    async prepare(place) {
      expectSuccess(await place.destroy());
      expectSuccess(await place.deploy({}, ...storage, '--kubernetes-version', versionBefore));
      await mark(place);
    },
    answers: true,
  },
} satisfies Record<string, SteppedCommand>;

export type SteppedName = keyof typeof steppedCommands;
export const steppedNames = Object.keys(steppedCommands) as SteppedName[];

/**
 * Kills a command after calls that it makes, and runs it again: it succeeds, the plane is as after an undisturbed run,
 * `diff` and `deploy` find nothing to change, and what was written before is there.
 */
export async function killCommand(
  place: Place,
  name: SteppedName,
  { points: count = 20, skip }: KillExtent,
  faults: Faults,
): Promise<KillReport> {
  const started = Date.now();
  const command: SteppedCommand = steppedCommands[name];
  const report = newReport(name, 0);
  try {
    if (name !== 'upgrade') {
      expectSuccess(await place.deploy({}, ...storage));
      await mark(place);
    }
    await command.prepare(place);
    const reference = expectSuccess(await place.run(command.args));
    const { contents } = await place.state();
    const known = killPointsOf(reference.calls);
    const chosen = shuffled(evenly(known, count, faults.random), faults.random);
    Object.assign(report, { known: known.length, sample: chosen.length });
    faults.progress(
      `${name}, undisturbed: ${known.length} calls in ${(reference.milliseconds / 1000).toFixed(1)} s, ${chosen.length} of them are the sample`,
    );
    for (const [index, point] of chosen.entries()) {
      if (index < skip) continue;
      if (faults.isOver()) break;
      await killOnce(place, command, point, contents, report, faults);
      report.next = index + 1;
    }
    await place.destroy();
  } catch (error) {
    find(report, faults, { what: `${name}: the run was given up`, output: (error as Error).message });
  }
  return { ...report, seconds: (Date.now() - started) / 1000 };
}

async function killOnce(
  place: Place,
  command: SteppedCommand,
  point: KillPoint,
  wanted: string[],
  report: KillReport,
  faults: Faults,
): Promise<void> {
  await command.prepare(place);
  const before = await command.look?.(place);
  const { authority } = await place.state();
  const killed = await place.run(command.args, { killAfter: at(point) });
  if (!killed.killedAfter) {
    report.missed.push(nameOfPoint(point));
    if (killed.code === 0) return;
  } else report.tried++;
  const again = (await command.isDone?.(place)) ? undefined : await place.run(command.args);
  const problems: string[] = [];
  const after = await place.state();
  if (again && again.code !== 0) problems.push(`run again, it ended with ${again.code}`);
  if (report.command !== 'rotate-ca-drop' && authority !== undefined && after.authority !== authority)
    problems.push('the CA is another one');
  if (again && after.holder) problems.push(`the lease is still held by ${after.holder}`);
  problems.push(...difference(wanted, after.contents), ...((await command.problems?.(place)) ?? []));
  if (before !== undefined && before === (await command.look!(place))) problems.push('nothing is another than before');
  if (command.answers) problems.push(...(await problemsOfPlane(place)));
  if (problems.length > 0)
    find(report, faults, {
      what: `${report.command} killed after ${nameOfPoint(point)}: ${problems.join('; ')}`,
      output: `${killed.stderr}\n--- again:\n${again?.stderr ?? 'not needed'}`,
    });
  else if (killed.killedAfter) report.converged++;
  faults.progress(
    `${report.command} killed after ${nameOfPoint(point)}: ${report.converged} of ${report.tried} converged`,
  );
}

/** What somebody would notice of a plane that is not as it has to be. */
async function problemsOfPlane(place: Place): Promise<string[]> {
  const problems: string[] = [];
  const [diff, deploy] = [await place.run(['diff']), await place.deploy()];
  if (diff.code !== 0) problems.push(`diff ended with ${diff.code}: ${diff.stdout}${diff.stderr}`);
  if (deploy.code !== 0) problems.push(`a deploy after it ended with ${deploy.code}: ${deploy.stderr}`);
  problems.push(...changes(deploy).map((line) => `a deploy after it changes something: ${line}`));
  const kept = await inHosted(place, (hosted) => hosted.get<Secret>(markKind, markName, 'default'));
  if (kept?.data?.kept !== markData) problems.push('what was written before it is not there');
  const left = await inHosted(place, (hosted) =>
    hosted.list<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, { namespace: 'kube-system' }),
  );
  for (const { metadata } of left.items)
    if (metadata.name === 'k8sk8s-upgrade') problems.push('its mark is left in the hosted cluster');
  return problems;
}

const markKind = { apiVersion: 'v1', kind: 'Secret' };
const markName = 'faults-mark';
const markData = Buffer.from('written before').toString('base64');

/** A Secret, so that it is read with the keys of before and after. */
function mark(place: Place): Promise<unknown> {
  const secret: Secret = { ...markKind, metadata: { name: markName, namespace: 'default' }, data: { kept: markData } };
  return inHosted(place, (hosted) => hosted.apply(secret));
}

async function inHosted<T>(place: Place, work: (hosted: HostedCluster) => Promise<T>): Promise<T> {
  const hosted = await (await openPlane(place.cluster)).connect();
  try {
    return await work(hosted);
  } finally {
    await hosted.close();
  }
}

/** The certificates of all leaves, by their Secrets. */
async function leavesOf(place: Place): Promise<string> {
  const { bundle } = await openPlane(place.cluster);
  return JSON.stringify(Object.values(bundle.leaves).map((leaf) => leaf?.certificate));
}

/** The certificates of all authorities that are trusted. */
async function authoritiesOf(place: Place): Promise<string> {
  const { bundle } = await openPlane(place.cluster);
  return JSON.stringify(Object.values(bundle.authorities).map((authority) => authority && trusted(authority)));
}

async function rotationProblems(place: Place): Promise<string[]> {
  const now = await rotationStatus(place.cluster);
  return now.flatMap(({ name, stage, next }) => (stage === 'one' && !next ? [] : [`${name} is ${stage}: ${next}`]));
}

async function answer(place: Place, ...args: string[]): Promise<string> {
  return expectSuccess(await place.run(args)).stdout;
}

async function succeed(place: Place, ...args: string[]): Promise<void> {
  expectSuccess(await place.run(args));
}

function expectSuccess(outcome: Outcome): Outcome {
  if (outcome.code === 0) return outcome;
  throw new Error(`${outcome.command} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`);
}
