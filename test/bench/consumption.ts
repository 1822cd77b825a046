import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod } from '../../src/kube/objects.ts';
import { processesOf } from '../../src/sandbox/cgroup.ts';
import { machineCgroup } from '../../src/sandbox/machine.ts';
import type { SandboxState } from '../../src/sandbox/state.ts';

export interface Consumption {
  /** Of the container, or what the container runtime adds to each pod. */
  name: string;
  /** MiB of heaps and stacks: anonymous pages, without pages of files that processes share (RssAnon, proc_pid_status(5)). */
  anonymousMiB: number;
  /** MiB of resident memory, pages of files included. */
  residentMiB: number;
  /** Thousandths of a core, over the time that was watched. */
  millicores: number;
}

export interface PlaneConsumption {
  components: Consumption[];
  total: Consumption;
  /** What each pod needs besides: its pause container and its shim. */
  runtime: Consumption;
}

/**
 * What the processes of some pods take, on the machines of a sandbox.
 *
 * @param milliseconds how long their processor time is watched
 */
export async function consumptionOf(pods: Pod[], state: SandboxState, milliseconds: number): Promise<PlaneConsumption> {
  return consumptionOfProcesses(find(pods, state), milliseconds);
}

/** Measures processes by their names. */
export async function consumptionOfProcesses(
  processes: { pid: number; name: string }[],
  milliseconds: number,
): Promise<PlaneConsumption> {
  const before = processes.map(({ pid }) => processorNanoseconds(pid));
  const from = performance.now();
  await sleep(milliseconds);
  const took = performance.now() - from;
  const each = processes.map(({ pid, name }, index) => ({
    name,
    ...memoryOf(pid),
    millicores: ((processorNanoseconds(pid) - before[index]!) / 1e6 / took) * 1000,
  }));
  const sum = (name: string, own: Consumption[]): Consumption => ({
    name,
    anonymousMiB: own.reduce((all, one) => all + one.anonymousMiB, 0),
    residentMiB: own.reduce((all, one) => all + one.residentMiB, 0),
    millicores: own.reduce((all, one) => all + one.millicores, 0),
  });
  const names = [...new Set(each.map(({ name }) => name))].filter((name) => name !== runtimeName).sort();
  const components = names.map((name) =>
    sum(
      name,
      each.filter((one) => one.name === name),
    ),
  );
  return {
    components,
    total: sum('total', components),
    runtime: sum(
      runtimeName,
      each.filter(({ name }) => name === runtimeName),
    ),
  };
}

const runtimeName = 'pause and shims';

/** The processes of the pods' containers under the container's name, and those that hold the pods together. */
function find(pods: Pod[], state: SandboxState): { pid: number; name: string }[] {
  const uids = new Set(pods.map(({ metadata }) => metadata.uid));
  const byContainer = new Map(
    pods
      .flatMap(({ status }) => status?.containerStatuses ?? [])
      .map(({ containerID, name }) => [containerID?.replace(/^.*:\/\//, ''), name]),
  );
  const machines = state.machines.filter(({ role }) => role === 'infra');
  const found = machines
    .flatMap((machine) => processesOf(machineCgroup(state, machine)))
    .flatMap((pid) => {
      const cgroup = read(`/proc/${pid}/cgroup`);
      const uid = /pod([0-9a-f]{8}[-_][0-9a-f-_]{27})/.exec(cgroup)?.[1]?.replaceAll('_', '-');
      if (!uids.has(uid)) return [];
      const container = /[0-9a-f]{64}/.exec(cgroup)?.[0];
      // The pause container is in no pod's status.
      return [{ pid, name: byContainer.get(container) ?? runtimeName, parent: Number(statusField(pid, 'PPid')) }];
    });
  // The pause container's and the component's processes have the same parent: the pod's one shim.
  const shims = new Set(found.map(({ parent }) => parent));
  // In a worker pod are pods again, whose shims are the worker's own processes.
  for (const { pid } of found) shims.delete(pid);
  return [...found, ...[...shims].map((pid) => ({ pid, name: runtimeName }))];
}

/** Memory of a process as the kernel counts it. */
export function memoryOf(pid: number): { anonymousMiB: number; residentMiB: number } {
  return { anonymousMiB: statusField(pid, 'RssAnon') / 1024, residentMiB: statusField(pid, 'VmRSS') / 1024 };
}

function statusField(pid: number, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** The processor time of all threads that live; Go's threads live as long as their process. */
function processorNanoseconds(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce(
      (sum, thread) => sum + Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] || 0),
      0,
    );
  } catch {
    return 0;
  }
}

/** Empty when the process has ended. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
