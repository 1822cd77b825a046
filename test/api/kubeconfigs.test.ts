import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import type { Case } from './access/case.ts';
import { casesIn } from './access/cases-in.ts';
import { casesBetter, casesRefused } from './access/cases-refused.ts';
import { casesWay } from './access/cases-way.ts';
import { type AccessWorld, startAccessWorld } from './access/world.ts';

// The same kubeconfigs, environment and standard input for the pinned kubectl and for k8sk8s: both get in, or both do not.

const stdins = ['closed', 'pipe', 'terminal'] as const;
type Stdin = (typeof stdins)[number];
interface Run {
  /** `hangs` is what was ended after its time. */
  outcome: 'in' | 'refused' | 'hangs';
  said: string;
}

const cli = path.resolve('dist/cli.js');
let world: AccessWorld;
let folder: string;
let cases: Case[];
const seen = new Map<string, Record<string, Run>>();

beforeAll(async () => {
  world = await startAccessWorld();
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-kubeconfigs-'));
  cases = [...casesIn(world), ...casesWay(world), ...casesRefused(world), ...casesBetter(world)];
  const limit = pLimit(4);
  await Promise.all(cases.map((each, index) => limit(async () => seen.set(each.name, await runs(each, index)))));
}, 900_000);

afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Without `npm run test:all`, only what runs a plugin is asked with each standard input: nothing else reads it. */
const all = runsAllOf('api/kubeconfigs');

/** Each tool with each standard input; kubectl first with no discovery cache, then with one that all cases share. */
async function runs(each: Case, index: number): Promise<Record<string, Run>> {
  const found: Record<string, Run> = {};
  const readsStdin = each.files.plugin !== undefined || each.expect === 'at a terminal';
  for (const stdin of all || readsStdin ? stdins : (['closed'] as const)) {
    const cold = path.join(folder, `cold-${index}-${stdin}`);
    const ask = ['get', 'configmaps', '-n', 'team', '-o', 'name'];
    if (stdin === 'closed' || each.files.plugin !== undefined)
      found[`kubectl, cold, ${stdin}`] = await run(each, stdin, [world.kubectl, `--cache-dir=${cold}`, ...ask]);
    if (stdin !== 'closed' || each.files.plugin !== undefined)
      found[`kubectl, warm, ${stdin}`] = await run(each, stdin, [world.kubectl, `--cache-dir=${folder}/warm`, ...ask]);
    found[`k8sk8s, ${stdin}`] = await run(each, stdin, [process.execPath, cli, 'list', '-n', 'team']);
  }
  return found;
}

let count = 0;
/** One run in a home of its own. */
async function run(each: Case, stdin: Stdin, command: string[]): Promise<Run> {
  const home = path.join(folder, `run-${++count}`);
  mkdirSync(home);
  for (const [name, content] of Object.entries(each.files)) {
    mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
    writeFileSync(path.join(home, name), content, { mode: name === 'plugin' ? 0o755 : 0o600 });
  }
  const placed = (text: string) => text.replaceAll('DIR', home).replace(/\bPATH\b/, process.env.PATH!);
  const env = Object.fromEntries(
    Object.entries({ PATH: 'PATH', HOME: 'DIR', KUBECONFIG: 'DIR/config', TERM: 'dumb', ...each.env }).map(
      ([name, value]) => [name, placed(value)],
    ),
  );
  const around = each.inPod ? inPod(home) : each.throughPipe ? throughPipe : [];
  const words = [...around, ...command, ...(each.args ?? []).map(placed)];
  const result = await start(words, stdin, env, home);
  rmSync(home, { recursive: true, force: true });
  return { ...result, said: result.said.replaceAll(home, 'DIR') };
}

const throughPipe = ['bash', '-c', 'exec "$@" --kubeconfig /dev/fd/9 9< <(cat config)', 'bash'];

/** A mount namespace with the service account where a pod has it. */
function inPod(home: string): string[] {
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  const script = `mount -t tmpfs pod /var/run && mkdir -p ${account} && cp ${home}/* ${account}/ && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, 'sh'];
}

function start(words: string[], stdin: Stdin, env: Record<string, string>, cwd: string): Promise<Run> {
  const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const [program = '', ...args] =
    stdin === 'closed'
      ? ['sh', '-c', 'exec "$@" <&-', 'sh', ...words]
      : stdin === 'pipe'
        ? words
        : ['script', '--quiet', '--return', '--command', `exec ${quoted}`, '/dev/null'];
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stdin.on('error', () => undefined);
    // A terminal stays, a pipe ends: who reads from it by mistake reads something.
    if (stdin === 'terminal') child.stdin.write('hello\nhello\n');
    else child.stdin.end('hello\n');
    let hangs = false;
    const limit = setTimeout(() => {
      hangs = true;
      process.kill(-child.pid!, 'SIGKILL');
    }, 60_000);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ outcome: hangs ? 'hangs' : code === 0 ? 'in' : 'refused', said });
    });
  });
}

const outcomes = (each: Case) =>
  Object.fromEntries(Object.entries(seen.get(each.name)!).map(([run, { outcome }]) => [run, outcome]));
/** What one run has to come to, and what it did, with its words where that is something else. */
function judge(each: Case, run: string): string | undefined {
  const { outcome, said } = seen.get(each.name)![run]!;
  const tool = run.startsWith('kubectl') ? ('kubectl' as const) : ('k8sk8s' as const);
  const wanted =
    each.better?.[tool] ??
    (each.expect === 'at a terminal' ? (run.endsWith('terminal') ? 'in' : 'refused') : each.expect);
  return wanted === 'either' || wanted === outcome ? undefined : `${run}: ${outcome}, not ${wanted}: ${said}`;
}

describe('kubectl and k8sk8s', () => {
  test('there are enough of them', () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
    expect(cases.filter(({ expect }) => expect === 'refused').length).toBeGreaterThanOrEqual(20);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  test('get in by the same kubeconfigs, and are refused by the same', () => {
    const wrong = cases.flatMap((each) =>
      Object.keys(outcomes(each)).flatMap((run) => {
        const problem = judge(each, run);
        return problem === undefined ? [] : [`${each.name}: ${problem}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('k8sk8s names what it refuses, and where to read about it', () => {
    const silent = cases.flatMap((each) => {
      const { outcome, said } = seen.get(each.name)!['k8sk8s, closed']!;
      if (outcome !== 'refused') return [];
      const missing = [...(each.says ?? []), 'see: docs/checks.md#'].filter((words) => !said.includes(words));
      return missing.length > 0 ? [`${each.name}: ${missing.join(', ')} not in: ${said}`] : [];
    });
    expect(silent).toEqual([]);
  });
});
