import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { knownMinors, newest } from '../../src/config/versions.ts';
import {
  at,
  difference,
  find,
  type KillExtent,
  type KillPoint,
  type KillReport,
  killPointsOf,
  nameOfPoint,
  newReport,
} from './kill-points.ts';
import type { Place } from './place.ts';
import {
  answer,
  authoritiesOf,
  expectSuccess,
  leavesOf,
  mark,
  problemsOfPlane,
  rotationProblems,
  succeed,
} from './plane-checks.ts';
import { evenly, shuffled } from './random.ts';
import type { Faults } from './report.ts';

/** A command that changes a plane in several steps, and can be run again after it was killed. */
interface SteppedCommand {
  args: string[];
  /** Brings the plane into the state in which the command begins. */
  prepare(place: Place): Promise<void>;
  /** What has to differ after the command. */
  look?(place: Place): Promise<string>;
  /** Problems with the result, besides the objects of the plane; empty when all is right. */
  problems?(place: Place): Promise<string[]>;
  /** Whether the killed run had completed its work: then the command is not run again, because it would begin anew. */
  isDone?(place: Place): Promise<boolean>;
  /** Whether the plane answers after the command. */
  answers: boolean;
}

const passphrase = ['--passphrase-file', 'passphrase'];
const storage = ['--etcd-storage', '1Gi'];
/** The version before `upgrade`; the sandbox has to have its images. */
export const versionBefore = knownMinors[1]!.patch;

/** Runs the command as an administrator would: where one run stops, the next one goes on. */
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
  // Two CAs that workers do not know: one run is enough.
  'rotate-ca': {
    args: [...rotations, 'front-proxy-ca', 'etcd-ca'],
    prepare: async () => undefined,
    look: authoritiesOf,
    answers: true,
    problems: rotationProblems,
  },
  // A CA that workers know, in the second run, which drops the old CA.
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
 * Kills a command after one of its calls and runs it again. The second run has to succeed, the plane has to be as after an
 * undisturbed run, `diff` and `deploy` have to find nothing to change, and all earlier data has to be there.
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
    problems.push('the CA has changed');
  if (again && after.holder) problems.push(`the lease is still held by ${after.holder}`);
  problems.push(...difference(wanted, after.contents), ...((await command.problems?.(place)) ?? []));
  if (before !== undefined && before === (await command.look!(place))) problems.push('nothing differs from before');
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
