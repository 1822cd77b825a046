import type { KubeObject } from '../../src/kube/objects.ts';
import type { Outcome, Place, PlaneState } from './place.ts';
import type { Call } from './proxy.ts';
import { evenly, shuffled } from './random.ts';
import type { Faults, Finding } from './report.ts';

/** A call after which a command is killed: the `occurrence`-th of this name. */
export interface KillPoint {
  name: string;
  occurrence: number;
}

/** Which of the calls a command is killed after. */
export interface KillExtent {
  /** How many calls at most, at even distances; each kind of command has a default. */
  points?: number;
  /** How many calls of the sample an earlier run with the same seed has tried. */
  skip: number;
}

export interface KillReport {
  command: string;
  /** Number of different calls in an undisturbed run. */
  known: number;
  /** How many of these calls are tried. */
  sample: number;
  /** How many of the sample this run and the runs before it have tried: for `--skip`. */
  next: number;
  tried: number;
  converged: number;
  /** How many of these left nothing behind and shared one repeated run. */
  shared: number;
  /** Calls that the run did not make this time. They are tried once more, and not counted. */
  missed: string[];
  seconds: number;
  findings: Finding[];
}

/**
 * The calls of an undisturbed run, each once. A call that a wait repeats counts twice at most. Renewals of the Lease do not
 * count, because they follow the clock.
 */
export function killPointsOf(calls: Call[]): KillPoint[] {
  return calls
    .filter(({ name, occurrence, method }) => {
      if (/readyz$/.test(name)) return occurrence === 1;
      if (/^PUT infra leases/.test(name)) return occurrence === 1;
      return method !== 'GET' || occurrence <= 2;
    })
    .map(({ name, occurrence }) => ({ name, occurrence }));
}

export const at = (point: KillPoint) => (call: Call) =>
  call.name === point.name && call.occurrence === point.occurrence;
export const nameOfPoint = ({ name, occurrence }: KillPoint) => (occurrence === 1 ? name : `${name} (${occurrence})`);

/** The state after an undisturbed run. */
interface Reference {
  calls: Call[];
  state: PlaneState;
}

/**
 * Kills deploy after each of `count` calls and runs it again. The objects and their contents have to be as without the kill, a
 * stored CA has to stay, a third run has to change nothing, and destroy has to leave no object.
 */
export async function killDeploys(
  place: Place,
  { points: count = Number.POSITIVE_INFINITY, skip }: KillExtent,
  faults: Faults,
): Promise<KillReport> {
  const started = Date.now();
  const reference = await undisturbed(place);
  const all = killPointsOf(reference.calls);
  const report = newReport('deploy', all.length);
  const chosen = shuffled(evenly(all, count, faults.random), faults.random);
  // Kills that leave nothing behind follow each other, so one repeated run at the end is enough for all of them.
  const empty: KillPoint[] = [];
  report.sample = chosen.length;
  report.next = skip;
  for (const point of chosen.slice(skip)) {
    if (faults.isOver()) break;
    report.next++;
    const killed = await place.deploy({ killAfter: at(point) });
    if (!killed.killedAfter) {
      report.missed.push(nameOfPoint(point));
      await expectDestroyed(place, report, point, killed, faults);
      continue;
    }
    const before = await place.state();
    report.tried++;
    if (before.names.length === 0) empty.push(point);
    else await expectConvergence(place, report, point, before, reference, faults);
    faults.progress(`deploy killed after ${nameOfPoint(point)}: ${report.converged} of ${report.tried} converged`);
  }
  if (empty.length > 0) {
    const again = await place.deploy();
    if (place.isDeployed(again)) {
      report.converged += empty.length;
      report.shared += empty.length;
    } else find(report, faults, finding('deploy after kills that left nothing behind', again));
    await expectDestroyed(place, report, undefined, again, faults);
  }
  return { ...report, seconds: (Date.now() - started) / 1000 };
}

/** Kills destroy after each of `count` calls. The second run has to leave nothing. */
export async function killDestroys(
  place: Place,
  { points: count = Number.POSITIVE_INFINITY, skip }: KillExtent,
  faults: Faults,
): Promise<KillReport> {
  const started = Date.now();
  await halfMade(place);
  const reference = await place.destroy();
  const report = newReport('destroy', 0);
  if (reference.code !== 0) find(report, faults, finding('destroy, undisturbed', reference));
  const all = killPointsOf(reference.calls);
  report.known = all.length;
  const chosen = shuffled(evenly(all, count, faults.random), faults.random);
  report.sample = chosen.length;
  report.next = skip;
  for (const point of chosen.slice(skip)) {
    if (faults.isOver()) break;
    report.next++;
    await halfMade(place);
    const killed = await place.destroy({ killAfter: at(point) });
    if (!killed.killedAfter) {
      report.missed.push(nameOfPoint(point));
      continue;
    }
    report.tried++;
    if (await expectDestroyed(place, report, point, killed, faults)) report.converged++;
    faults.progress(`destroy killed after ${nameOfPoint(point)}: ${report.converged} of ${report.tried} left nothing`);
  }
  return { ...report, seconds: (Date.now() - started) / 1000 };
}

/** Applies all objects of a plane and does not wait for its pods, because destroy has the same work either way. */
async function halfMade(place: Place): Promise<void> {
  const workloads = new Set<string>();
  await place.deploy({
    killAfter: ({ name }) => {
      if (/^PATCH infra (deployments|statefulsets)/.test(name)) workloads.add(name);
      return workloads.size === 4;
    },
  });
}

async function undisturbed(place: Place): Promise<Reference> {
  const first = await place.deploy();
  const second = await place.deploy();
  if (!place.isDeployed(first) || !place.isDeployed(second) || changes(second).length > 0)
    throw new Error(`an undisturbed deploy fails:\n${first.stderr}\n${second.stderr}`);
  const state = await place.state();
  const destroyed = await place.destroy();
  if (destroyed.code !== 0) throw new Error(`an undisturbed destroy fails:\n${destroyed.stderr}`);
  return { calls: first.calls, state };
}

/** Lines in which deploy names an object that it made or changed, in the infra cluster or in the hosted cluster. */
export function changes({ stderr }: Outcome): string[] {
  return stderr.split('\n').filter((line) => /^\S+ ".*" (created|configured)$/.test(line));
}

async function expectConvergence(
  place: Place,
  report: KillReport,
  point: KillPoint,
  before: PlaneState,
  reference: Reference,
  faults: Faults,
): Promise<void> {
  const problems: string[] = [];
  const again = await place.deploy();
  if (!place.isDeployed(again)) problems.push(`run again, it ended with ${again.code}`);
  const after = await place.state();
  if (before.authority !== undefined && after.authority !== before.authority) problems.push('the CA has changed');
  problems.push(...difference(reference.state.contents, after.contents));
  const second = await place.deploy();
  if (!place.isDeployed(second)) problems.push(`the following run ended with ${second.code}`);
  problems.push(...changes(second).map((line) => `the following run changes something: ${line}`));
  if (problems.length > 0)
    find(report, faults, {
      what: `deploy killed after ${nameOfPoint(point)}: ${problems.join('; ')}`,
      output: `${again.stderr}\n---\n${second.stderr}`,
    });
  const gone = await expectDestroyed(place, report, point, again, faults);
  if (problems.length === 0 && gone) report.converged++;
}

async function expectDestroyed(
  place: Place,
  report: KillReport,
  point: KillPoint | undefined,
  cause: Outcome,
  faults: Faults,
): Promise<boolean> {
  const destroyed = await place.destroy();
  const { names, lease } = await place.state();
  if (destroyed.code === 0 && names.length === 0 && !lease) return true;
  find(report, faults, {
    what: `destroy ended with ${destroyed.code} and left ${[...names, ...(lease ? ['the lease'] : [])].join(', ') || 'nothing'}${point ? ` (${cause.command.split(' ')[1]} killed after ${nameOfPoint(point)})` : ''}`,
    output: destroyed.stderr,
  });
  return false;
}

/** The fields in which the objects of two PlaneStates differ. Pure. */
export function difference(wanted: string[], found: string[]): string[] {
  const [before, after] = [byName(wanted), byName(found)];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    if (!after.has(name)) return [`${name} is missing`];
    if (!before.has(name)) return [`${name} is there, but not after an undisturbed run`];
    return fieldsThatDiffer(before.get(name), after.get(name)).map((field) => `${name} differs in ${field}`);
  });
}

function byName(contents: string[]): Map<string, KubeObject> {
  const objects = contents.map((text) => JSON.parse(text.replaceAll(/:NODE_PORT/g, ':0')) as KubeObject);
  const named = new Map<string, KubeObject>();
  for (const object of objects) {
    const name = `${object.kind} ${object.metadata.name}`;
    // All Secrets of start files have one name here, so a left one must not hide the other.
    const alike = [...named.keys()].filter((each) => each === name || each.startsWith(`${name} (`)).length;
    named.set(alike === 0 ? name : `${name} (${alike + 1})`, object);
  }
  return named;
}

function fieldsThatDiffer(wanted: unknown, found: unknown, at = ''): string[] {
  if (JSON.stringify(wanted) === JSON.stringify(found)) return [];
  // The record is JSON in a string.
  if (isJson(wanted) && isJson(found)) return fieldsThatDiffer(JSON.parse(wanted), JSON.parse(found), at);
  if (typeof wanted !== 'object' || typeof found !== 'object' || wanted === null || found === null)
    return [`${at}: ${JSON.stringify(wanted)} there, ${JSON.stringify(found)} here`.slice(0, 600)];
  const [one, other] = [wanted, found] as Record<string, unknown>[];
  const fields = [...new Set([...Object.keys(one!), ...Object.keys(other!)])];
  return fields.flatMap((field) => fieldsThatDiffer(one![field], other![field], `${at}.${field}`));
}

const isJson = (value: unknown): value is string => typeof value === 'string' && value.startsWith('{');

/** Records a finding and prints it at once, because a long run may be ended early. */
export function find(report: KillReport, faults: Faults, found: Finding): void {
  report.findings.push(found);
  faults.progress(`WRONG: ${found.what}\n${found.output ?? ''}`);
}

export function newReport(command: KillReport['command'], known: number): KillReport {
  return {
    command,
    known,
    sample: 0,
    next: 0,
    tried: 0,
    converged: 0,
    shared: 0,
    missed: [],
    seconds: 0,
    findings: [],
  };
}

function finding(what: string, outcome: Outcome): Finding {
  return { what: `${what}: ended with ${outcome.code}`, output: outcome.stderr };
}
