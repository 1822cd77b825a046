import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadResults, type Results, saveResults, toRun } from './results.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-conformance-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const spec = (name: string) => ({ name, sig: 'apps', serial: false });
const all = ['good', 'bad', 'left out', 'new'].map(spec);
const known: Results = {
  version: '1.37.2',
  options: [],
  runs: [],
  specs: { good: { outcome: 'passed' }, bad: { outcome: 'failed', cause: 'x' }, 'left out': { outcome: 'skipped' } },
};
const names = (specs: { name: string }[]) => specs.map(({ name }) => name);

test('results come back as they were saved, and those of another version or another plane do not count', () => {
  saveResults(folder, 'hosted', known);
  expect(loadResults(folder, 'hosted', '1.37.2')).toEqual(known);
  expect(loadResults(folder, 'hosted', '1.36.3').specs).toEqual({});
  expect(loadResults(folder, 'hosted', '1.37.2', ['--profile', 'lite']).specs).toEqual({});
  expect(loadResults(folder, 'reference', '1.37.2').specs).toEqual({});
});

test('a damaged file is not taken for a run without results', () => {
  writeFileSync(path.join(folder, 'hosted.json'), '{"version": "1.37.2", ');
  expect(() => loadResults(folder, 'hosted', '1.37.2')).toThrow();
});

test('resuming leaves out what has passed, rerunning takes only what failed', () => {
  expect(names(toRun(all, known, {}))).toEqual(['good', 'bad', 'left out', 'new']);
  expect(names(toRun(all, known, { resume: true }))).toEqual(['bad', 'new']);
  expect(names(toRun(all, known, { rerunFailed: true }))).toEqual(['bad']);
});

test('the reference is asked what failed on the hosted cluster, once', () => {
  const nothing: Results = { version: '1.37.2', options: [], runs: [], specs: {} };
  expect(names(toRun(all, nothing, { rerunFailed: true }, known))).toEqual(['bad']);
  const asked: Results = { ...nothing, specs: { bad: { outcome: 'passed' } } };
  expect(names(toRun(all, asked, { rerunFailed: true, resume: true }, known))).toEqual([]);
});
