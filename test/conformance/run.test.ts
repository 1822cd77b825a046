import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notingReporter } from '../../src/ui/noting.fixture.ts';
import { loadResults } from './results.ts';
import { type Asked, runSpecs } from './run.ts';
import { focusOf, type Spec } from './specs.ts';

// The runner with a program that stands in for ginkgo: it prints and reports what it is told to.

let folder: string;
const said: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-conformance-'));
  said.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const reporter = notingReporter(said);

const spec = (name: string): Spec => ({ name: `[sig-apps] ${name}`, sig: 'apps', serial: name.includes('[Serial]') });
const specs = ['good', 'bad', 'other', 'alone [Serial]'].map(spec);

/** A ginkgo that passes what is in `passing`, fails the rest, and after `dieAfter` specs is killed without a report. */
function cluster(passing: string[], dieAfter = Infinity) {
  const ginkgo = path.join(folder, 'ginkgo.cjs');
  writeFileSync(
    ginkgo,
    `#!${process.execPath}
const { appendFileSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
appendFileSync(${JSON.stringify(path.join(folder, 'calls'))}, JSON.stringify(args) + '\\n');
const focus = args.filter((arg) => arg.startsWith('--focus=')).map((arg) => new RegExp(arg.slice(8)));
const names = ${JSON.stringify(specs.map(({ name }) => name))}.filter((name) => focus.some((each) => each.test('Kubernetes e2e suite ' + name)));
const reports = [];
names.forEach((name, index) => {
  if (index >= ${dieAfter === Infinity ? 1e9 : dieAfter}) process.kill(process.pid, 'SIGKILL');
  const passed = ${JSON.stringify(passing)}.some((each) => name.includes(each));
  require('node:fs').writeSync(1, '• ' + (passed ? '' : '[FAILED] ') + '[1.500 seconds]\\n' + name + ' [sig-apps]\\n');
  reports.push({ ContainerHierarchyTexts: null, LeafNodeType: 'It', LeafNodeText: name, State: passed ? 'passed' : 'failed', RunTime: 1.5e9, Failure: passed ? undefined : { Message: 'it broke' } });
});
const value = (flag) => args.find((arg) => arg.startsWith(flag + '=')).slice(flag.length + 1);
writeFileSync(value('--output-dir') + '/' + value('--json-report'), JSON.stringify([{ SpecReports: reports }]));
`,
  );
  chmodSync(ginkgo, 0o755);
  return { kubeconfig: 'kubeconfig', programs: { ginkgo, 'e2e.test': 'e2e.test', kubectl: 'kubectl' } };
}

const ask = (more: Partial<Asked> = {}): Asked => ({
  parallel: 3,
  side: 'hosted',
  version: '1.37.2',
  options: [],
  folder,
  typed: [],
  ...more,
});
const calls = () =>
  readFileSync(path.join(folder, 'calls'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string[]);
const focused = (args: string[]) => specs.filter((each) => args.includes(`--focus=${focusOf(each)}`));

test('specs that may run beside others come first, then serial ones; failures are printed at once, and their causes are kept', async () => {
  const { results, interrupted } = await runSpecs(specs, ask(), cluster(['good', 'alone']), reporter);
  const [parallel, serial] = calls();
  expect(focused(parallel!)).toEqual(specs.slice(0, 3));
  expect(parallel).toContain('--procs=3');
  expect(focused(serial!)).toEqual(specs.slice(3));
  expect(serial).toContain('--procs=1');
  expect(said).toContain('FAILED [sig-apps] bad');
  expect(said).toContain('done parallel part, 3 at a time: 1 passed, 2 failed');
  expect(results.specs['[sig-apps] good']).toEqual({ outcome: 'passed', seconds: 1.5 });
  expect(results.specs['[sig-apps] bad']).toEqual({ outcome: 'failed', seconds: 1.5, cause: 'it broke' });
  expect(interrupted).toBe(false);
  expect(loadResults(folder, 'hosted', '1.37.2')).toEqual(results);
});

test('killed in the middle and resumed: specs that passed do not run again', async () => {
  await expect(runSpecs(specs, ask(), cluster(['good'], 2), reporter)).rejects.toMatchObject({
    anchor: 'conformance-suite',
    what: 'the conformance suite died after 2 specs',
    fix: expect.stringContaining('--resume'),
  });
  expect(Object.keys(loadResults(folder, 'hosted', '1.37.2').specs)).toEqual(['[sig-apps] good', '[sig-apps] bad']);
  rmSync(path.join(folder, 'calls'));
  const { results } = await runSpecs(specs, ask({ resume: true }), cluster(['other', 'alone', 'bad']), reporter);
  expect(calls().flatMap(focused)).toEqual(specs.slice(1));
  expect(results.runs).toHaveLength(2);
  expect(Object.values(results.specs).map(({ outcome }) => outcome)).toEqual(['passed', 'passed', 'passed', 'passed']);
});

test('the reference is asked what failed on the hosted cluster, and its namespaces are left alone', async () => {
  await runSpecs(specs, ask(), cluster(['good', 'alone']), reporter);
  expect(calls()[0]).toContain('--clean-start');
  rmSync(path.join(folder, 'calls'));
  await runSpecs(specs, ask({ side: 'reference', rerunFailed: true }), cluster([]), reporter);
  expect(calls().flatMap(focused)).toEqual(specs.slice(1, 3));
  expect(calls()[0]).not.toContain('--clean-start');
  expect(loadResults(folder, 'hosted', '1.37.2').specs['[sig-apps] good']?.outcome).toBe('passed');
  expect(loadResults(folder, 'reference', '1.37.2').specs['[sig-apps] bad']?.outcome).toBe('failed');
});

test('when no spec is left to run, nothing is started', async () => {
  const { chosen } = await runSpecs(specs, ask({ focus: /nothing of the kind/ }), cluster([]), reporter);
  expect(chosen).toEqual([]);
  expect(existsSync(path.join(folder, 'calls'))).toBe(false);
});
