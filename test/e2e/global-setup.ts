import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { isTestAll } from '../test-all.ts';
import { boxState, difference } from './box.ts';
import { pairsOfWorkers } from './order.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sandbox: string;
    work: string;
  }
}

/** A sandbox that is there already, which the run uses and leaves up. */
const given = process.env.K8SK8S_TEST_SANDBOX;
const name = given ?? 'e2e';
const keeps = given !== undefined || Boolean(process.env.K8SK8S_KEEP_SANDBOX);

/** One sandbox for the whole run: three infra nodes, so that a plane can move and etcd's members can spread, and pairs of workers. */
export default function setup(project: TestProject): () => void {
  const cli = path.resolve('dist/cli.js');
  const sandbox = (...rest: string[]) =>
    execFileSync(process.execPath, [cli, 'sandbox', ...rest, '--name', name], { stdio: 'inherit' });
  const before = boxState();
  const seconds: Record<string, number> = {};
  const took = (what: string, started: number) => {
    seconds[what] = (Date.now() - started) / 1000;
    project.provide('seconds', seconds);
  };
  const started = Date.now();
  const work = mkdtempSync(path.join(tmpdir(), 'k8sk8s-e2e-'));
  const wanted = ['--workers', String(2 * pairsOfWorkers), '--infra-nodes', '3'];
  if (isTestAll) wanted.push('--also-version', '1.36.3');
  try {
    // Somebody else may be changing a sandbox that others use too.
    tried(given === undefined ? 1 : 10, () => sandbox('up', ...wanted));
  } catch (error) {
    if (!keeps) sandbox('down');
    throw error;
  }
  took('sandbox up', started);
  project.provide('sandbox', name);
  project.provide('work', work);
  return () => {
    if (keeps) return;
    const ending = Date.now();
    try {
      sandbox('down');
      rmSync(work, { recursive: true, force: true });
      const left = settled(before);
      if (left.length > 0) throw new Error(`sandbox down did not leave the box as it was:\n${left.join('\n')}`);
    } catch (error) {
      // Vitest prints what a teardown throws, and exits with 0 all the same.
      process.exitCode = 1;
      throw error;
    } finally {
      took('sandbox down', ending);
    }
  };
}

/** @param times at most, with five seconds between two of them */
function tried(times: number, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (times === 1) throw error;
    execFileSync('sleep', ['5']);
    tried(times - 1, work);
  }
}

/** Containers' processes take a moment to leave the process table after the machine that held them. */
function settled(before: ReturnType<typeof boxState>): string[] {
  const deadline = Date.now() + 5000;
  for (;;) {
    const left = difference(before, boxState());
    if (left.length === 0 || Date.now() > deadline) return left;
    execFileSync('sleep', ['0.2']);
  }
}
