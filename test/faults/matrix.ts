import { isTested, newest } from '../../src/config/versions.ts';
import { readRecord } from '../../src/live/record.ts';
import { keyStatus } from '../../src/operations/keys/service-account-key.ts';
import { at, type KillPoint, killPointsOf, nameOfPoint } from './kill-points.ts';
import type { Outcome, Place } from './place.ts';
import { answer, expectSuccess, mark, problemsOfPlane, rotationProblems, succeed } from './plane-checks.ts';
import { shuffled } from './random.ts';
import type { Faults, Finding } from './report.ts';

/** An operation that changes an existing plane. */
interface Operation {
  /** @param turn a new number each time, for values that have to be new each time */
  args(place: Place, turn: number): string[];
  /** Brings the plane, which is awake and available, into the state in which the operation begins. */
  prepare?(place: Place): Promise<void>;
  /** The second run that completes the operation; between both runs, workers and tokens get time. */
  second?: string[];
  /** It is allowed on a plane that sleeps, or is made for one. */
  copesWithSleep?: true;
}

const rotate = ['certs', 'rotate-ca', '--yes', '--authority'];
const storage = ['--etcd-storage', '1Gi'];

const operations = {
  deploy: {
    args: (place, turn) => ['deploy', '-h', place.host, '--scheduler-arg', `v=${1 + (turn % 5)}`],
    copesWithSleep: true,
  },
  upgrade: { args: () => ['upgrade', '--to', newest.patch, '--no-backup', '--observe', '1s'] },
  sleep: { args: () => ['sleep'], copesWithSleep: true },
  wake: { args: () => ['wake'], prepare: (place) => succeed(place, 'sleep'), copesWithSleep: true },
  renew: { args: () => ['certs', 'renew'], copesWithSleep: true },
  'rotate-ca': { args: () => [...rotate, 'front-proxy-ca', 'etcd-ca'] },
  'rotate-ca-of-workers': {
    args: () => [...rotate, 'ca', 'kubelet-serving-ca'],
    second: [...rotate, 'ca', 'kubelet-serving-ca'],
  },
  'encrypt-rotate': { args: () => ['encrypt', 'rotate'] },
  defrag: { args: () => ['etcd', 'defrag'] },
  'service-account-key': {
    args: () => ['certs', 'rotate-service-account-key'],
    second: ['certs', 'rotate-service-account-key', '--drop-now'],
  },
} satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;
export const operationNames = Object.keys(operations) as OperationName[];

/** `first` is killed, `between` is run, and `first` is run again. */
interface Triple {
  first: OperationName;
  between: OperationName;
}

export interface MatrixExtent {
  operations: readonly OperationName[];
  /** How many triples to try, of all pairs of these operations. */
  triples: number;
  /** Version of the plane before `upgrade`. */
  from: string;
}

export interface MatrixReport {
  pairs: number;
  tried: number;
  good: number;
  /** Triples in which `between` was refused, with the anchors of the refusals. */
  refused: string[];
  rows: string[];
  seconds: number;
  findings: Finding[];
}

/** Pairs of different operations in random order; each operation comes first equally often. Pure. */
function sampleOf(names: readonly OperationName[], count: number, random: () => number): Triple[] {
  const rows = shuffled(names, random).map((first) =>
    shuffled(
      names.filter((between) => between !== first),
      random,
    ).map((between) => ({ first, between })),
  );
  const rounds = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: rounds }, (_, round) => rows.flatMap((row) => row[round] ?? []))
    .flat()
    .slice(0, count);
}

/**
 * The matrix "A killed, then B, then A again" over the operations that change a plane. Afterwards the plane has to be available
 * and healthy, with nothing unfinished in its record and no old CA or key that is trusted. A deploy has to change nothing, and
 * all earlier data has to be there.
 */
export async function runMatrix(place: Place, extent: MatrixExtent, faults: Faults): Promise<MatrixReport> {
  const started = Date.now();
  const sample = sampleOf(extent.operations, extent.triples, faults.random);
  const pairs = extent.operations.length * (extent.operations.length - 1);
  const report: MatrixReport = { pairs, tried: 0, good: 0, refused: [], rows: [], seconds: 0, findings: [] };
  const matrix = new Matrix(place, extent, faults, report);
  for (const triple of sample) {
    if (faults.isOver()) break;
    try {
      await matrix.tryTriple(triple);
    } catch (error) {
      matrix.find(`${nameOf(triple)}: given up`, (error as Error).message);
      await place.destroy();
    }
  }
  await place.destroy();
  return { ...report, seconds: (Date.now() - started) / 1000 };
}

const nameOf = ({ first, between }: Triple) => `${first} killed, then ${between}, then ${first}`;

class Matrix {
  readonly #place: Place;
  readonly #extent: MatrixExtent;
  readonly #faults: Faults;
  readonly #report: MatrixReport;
  /** Calls in an undisturbed run. */
  readonly #points = new Map<OperationName, KillPoint[]>();
  #turn = 0;

  constructor(place: Place, extent: MatrixExtent, faults: Faults, report: MatrixReport) {
    this.#place = place;
    this.#extent = extent;
    this.#faults = faults;
    this.#report = report;
  }

  async tryTriple(triple: Triple): Promise<void> {
    const { first, between } = triple;
    const points = await this.#pointsOf(first);
    const point = points[Math.floor(this.#faults.random() * points.length)]!;
    const what = `${nameOf(triple)} (killed after ${nameOfPoint(point)})`;
    await this.#begin(triple);
    const operation: Operation = operations[first];
    await operation.prepare?.(this.#place);
    const args = this.#argsOf(first);
    const killed = await this.#place.run(args, { killAfter: at(point) });
    const other = await this.#place.run(this.#argsOf(between));
    const runs = [killed, other];
    const problems: string[] = [];
    this.#report.tried++;
    if (isRefusal(other)) this.#report.refused.push(`${nameOf(triple)}: ${anchorOf(other)}`);
    else if (other.code !== 0) problems.push(`${between} ended with ${other.code}`);
    problems.push(...(await this.#again(first, args, runs)));
    problems.push(...(await this.#finish(triple, runs)));
    if (problems.length === 0) problems.push(...(await this.#problems()));
    this.#tell(what, problems, killed, runs);
  }

  /**
   * Runs the operation again as an administrator would: when the other operation put the plane to sleep, the plane is woken
   * first.
   */
  async #again(first: OperationName, args: string[], runs: Outcome[]): Promise<string[]> {
    const operation: Operation = operations[first];
    const { asleep } = (await readRecord(this.#place.cluster))!;
    if (asleep && !operation.copesWithSleep) runs.push(await this.#place.run(['wake']));
    const again = await this.#place.run(args);
    runs.push(again);
    // When the kill came after the new key had begun to sign, this is the second run, which waits for tokens of the old key.
    return again.code === 0 || (operation.second && anchorOf(again) === 'old-key-needed')
      ? []
      : [`${first} run again ended with ${again.code} (${anchorOf(again)})`];
  }

  /** Wakes the plane, and runs operations that need a second run again. */
  async #finish({ first, between }: Triple, runs: Outcome[]): Promise<string[]> {
    const { asleep } = (await readRecord(this.#place.cluster))!;
    if (asleep) runs.push(await this.#place.run(['wake']));
    for (const name of [first, between]) {
      const { second }: Operation = operations[name];
      // When the first run was refused or had only begun, this is the first of two runs.
      for (let run = 0; second && run < 2 && (await this.#problemsOfTrust()).length > 0; run++)
        runs.push(await this.#place.run(second));
    }
    return runs
      .slice(3)
      .filter(({ code }) => code !== 0)
      .map(({ command, code }) => `${command} afterwards ended with ${code}`);
  }

  async #problems(): Promise<string[]> {
    const record = (await readRecord(this.#place.cluster))!;
    const unfinished = Object.keys(record.unfinished ?? {});
    const status = await this.#place.run(['status']);
    return [
      ...(record.phase === 'available' ? [] : [`the plane is ${record.phase}`]),
      ...(unfinished.length === 0 ? [] : [`${unfinished.join(', ')} is unfinished`]),
      ...(status.code === 0 ? [] : [`status ended with ${status.code}: ${status.stdout}${status.stderr}`]),
      ...(await this.#problemsOfTrust()),
      ...(await problemsOfPlane(this.#place)),
    ];
  }

  /** Old CAs and keys that are still trusted. */
  async #problemsOfTrust(): Promise<string[]> {
    const { stage, unfinished } = await keyStatus(this.#place.cluster);
    const encryption = JSON.parse(await answer(this.#place, 'encrypt', 'status', '--output', 'json')) as {
      reads: string[];
      unfinished: boolean;
    };
    return [
      ...(await rotationProblems(this.#place)),
      ...(stage === 'one' && !unfinished ? [] : [`the key of ServiceAccounts is ${stage}`]),
      ...(encryption.unfinished ? [`Secrets are read by ${encryption.reads.join(', ')}`] : []),
    ];
  }

  /** Makes sure that there is a plane that is awake, with the older version when it is to be upgraded. */
  async #begin({ first, between }: Triple): Promise<void> {
    const record = await readRecord(this.#place.cluster);
    const upgrades = first === 'upgrade' || between === 'upgrade';
    if (record && upgrades) expectSuccess(await this.#place.destroy());
    if (record && !upgrades) {
      if (record.asleep) await succeed(this.#place, 'wake');
      return;
    }
    const { from } = this.#extent;
    const untested = isTested(from) ? [] : ['--allow-untested-version'];
    const version = upgrades ? ['--kubernetes-version', from, ...untested] : [];
    expectSuccess(await this.#place.deploy({}, ...storage, ...version));
    await mark(this.#place);
  }

  /** The calls of an undisturbed run after which an operation can be killed. */
  async #pointsOf(name: OperationName): Promise<KillPoint[]> {
    const known = this.#points.get(name);
    if (known) return known;
    await this.#begin({ first: name, between: name });
    const operation: Operation = operations[name];
    await operation.prepare?.(this.#place);
    const outcome = expectSuccess(await this.#place.run(this.#argsOf(name)));
    if (operation.second) await succeed(this.#place, ...operation.second);
    const all = killPointsOf(outcome.calls);
    // Before an operation holds the lock, it has only read.
    const points = all.slice(all.findIndex(({ name: call }) => /infra leases/.test(call)) + 1);
    this.#points.set(name, points);
    this.#faults.progress(`${name}, undisturbed: ${points.length} calls in ${seconds(outcome)}`);
    return points;
  }

  #argsOf(name: OperationName): string[] {
    return operations[name].args(this.#place, this.#turn++);
  }

  #tell(what: string, problems: string[], killed: Outcome, runs: Outcome[]): void {
    const missed = killed.killedAfter ? '' : ', a call that it did not make this time';
    const total = runs.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const row = `${what}${missed}: ${problems.length === 0 ? 'good' : 'WRONG'} (${Math.round(total / 1000)} s)`;
    this.#report.rows.push(row);
    this.#faults.progress(row);
    if (problems.length === 0) this.#report.good++;
    else this.find(`${what}: ${problems.join('; ')}`, runs.map(said).join('\n'));
  }

  find(what: string, output: string): void {
    this.#report.findings.push({ what, output });
    this.#faults.progress(`WRONG: ${what}\n${output}`);
  }
}

const seconds = ({ milliseconds }: Outcome) => `${(milliseconds / 1000).toFixed(1)} s`;
const said = ({ command, code, stderr }: Outcome) => `--- ${command} (${code ?? 'killed'})\n${stderr}`;

/** The heading of docs/checks.md that an error named. */
function anchorOf({ stderr }: Outcome): string | undefined {
  return /docs\/checks\.md#([\w-]+)/.exec(stderr)?.[1];
}

/** An operation may refuse a plane that another operation is changing, when it says why. */
function isRefusal(outcome: Outcome): boolean {
  const refusals = ['plane-asleep', 'upgrade-refused', 'etcd-member', 'restore-unfinished'];
  return outcome.code !== 0 && refusals.includes(anchorOf(outcome) ?? '');
}
