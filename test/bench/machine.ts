import { readFileSync } from 'node:fs';
import { cpus, freemem, loadavg, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolVersion } from '../../src/base/version.ts';

/** The box on which the figures were measured, and its load. */
export interface MachineState {
  time: string;
  processor: string;
  cores: number;
  memoryGiB: number;
  freeGiB: number;
  /** Load average of the minute before the measurement began. */
  load: number;
  kernel: string;
  node: string;
  k8sk8s: string;
  kubernetes: string;
}

export function machineState(kubernetes: string): MachineState {
  const gib = (bytes: number) => Math.round((bytes / 2 ** 30) * 10) / 10;
  return {
    time: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: gib(totalmem()),
    freeGiB: gib(freemem()),
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    kernel: release(),
    node: process.version,
    k8sk8s: toolVersion(),
    kubernetes,
  };
}

export function machineLine(machine: MachineState): string {
  return `${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, load ${machine.load}, Linux ${machine.kernel}, Node.js ${machine.node}, k8sk8s ${machine.k8sk8s}, Kubernetes ${machine.kubernetes}`;
}

/**
 * Waits until the box is nearly idle, so that work which one measurement left behind does not slow the next one.
 *
 * @param limit milliseconds; after that, a busy box is measured all the same, and the figures say so
 * @returns the share of idle processor time that it found last
 */
export async function calm(limit = 15_000): Promise<number> {
  const deadline = Date.now() + limit;
  for (;;) {
    const before = processorTime();
    await sleep(500);
    const after = processorTime();
    const idle = (after.idle - before.idle) / Math.max(1, after.all - before.all);
    if (idle > 0.85 || Date.now() > deadline) return idle;
  }
}

/** Clock ticks since boot, of all cores: first line of /proc/stat (proc_stat(5)). */
function processorTime(): { idle: number; all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), all: ticks.reduce((sum, each) => sum + each, 0) };
}
