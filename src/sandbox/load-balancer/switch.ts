import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Reporter } from '../../ui/reporter.ts';
import { apiServer, InfraCredentials } from '../infra/credentials.ts';
import { withSandboxLock } from '../lock.ts';
import { endDaemon, ensureDaemon, inside, lastLines } from '../machine.ts';
import { isAlive, waitUntil } from '../process.ts';
import { firstInfra, requireState, type SandboxState, sandboxFolder, saveState, writeIfChanged } from '../state.ts';
import type { Given } from './controller.ts';
import program from './main.ts?program';
import { poolOf } from './plan.ts';

const daemon = 'load-balancer';

/** What the load balancer of a sandbox has given to whom. */
export interface Balanced {
  pool: [first: string, last: string];
  given: Given[];
}

/** Starts it where it does not run, for good: `up` starts it again with the machines. */
export async function startLoadBalancer(name: string, reporter: Reporter): Promise<Balanced> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      state.loadBalancer = true;
      saveState(state);
      if (!isAlive(firstInfra(state).daemons[daemon]))
        await reporter.during('load balancer starting', async () => {
          ensureLoadBalancer(state);
          await untilItRuns(state);
        });
      const pool = poolOf(state.network);
      return { pool: [pool[0]!, pool.at(-1)!], given: givenIn(state) };
    },
    90,
  );
}

/** For a sandbox whose state says so. */
export function ensureLoadBalancer(state: SandboxState): void {
  if (!state.loadBalancer) return;
  const file = programFile(state);
  writeIfChanged(file, program);
  ensureDaemon(state, firstInfra(state), daemon, [process.execPath, file, ...argumentsOf(state)]);
}

/** A program that ends at once, for want of iptables, say, has to be noticed here. */
async function untilItRuns(state: SandboxState): Promise<void> {
  const machine = firstInfra(state);
  const began = performance.now();
  await waitUntil('the start of the load balancer', 10, () => {
    if (!isAlive(machine.daemons[daemon])) throw new Error(lastLines(state, machine, daemon));
    return performance.now() - began > 500 || undefined;
  });
}

/**
 * Ends it, also where it was killed, and takes away what it made: addresses, rules, and the addresses in the Services' statuses.
 *
 * @returns false where it was never started
 */
export async function stopLoadBalancer(name: string, reporter: Reporter): Promise<boolean> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      if (!state.loadBalancer) return false;
      await reporter.during('load balancer ending', async () => {
        await endDaemon(state, firstInfra(state), daemon);
        await inside(firstInfra(state), [process.execPath, programFile(state), ...argumentsOf(state), 'clear']);
      });
      for (const file of [memory(state), programFile(state)]) rmSync(file, { force: true });
      state.loadBalancer = undefined;
      saveState(state);
      return true;
    },
    90,
  );
}

function argumentsOf(state: SandboxState): string[] {
  return [apiServer(state), new InfraCredentials(state).folder, state.network, memory(state)];
}

const memory = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'load-balancer.json');
const programFile = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'load-balancer.mjs');

function givenIn(state: SandboxState): Given[] {
  try {
    return JSON.parse(readFileSync(memory(state), 'utf8')) as Given[];
  } catch {
    return [];
  }
}
