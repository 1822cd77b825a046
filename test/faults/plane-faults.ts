import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { run, waitUntil } from '../../src/sandbox/process.ts';
import { firstInfra, type MachineState, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { quietReporter } from '../../src/ui/quiet.ts';

/** A fault of a running plane, which is over when its promise is fulfilled. */
export interface PlaneFault {
  name: string;
  happen(plane: PlaneOnBox, random: () => number): Promise<void>;
}

const components = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
type ComponentName = (typeof components)[number];

const podKind = { apiVersion: 'v1', kind: 'Pod' };

/**
 * A plane's pods as objects and as processes of this box. The sandbox's machines share the box's kernel, so a container's
 * process can be killed or stopped without hooks and grace period, as when a machine fails. Only `nodeDies` affects more than
 * this plane.
 */
export class PlaneOnBox {
  readonly #cluster: InfraCluster;
  readonly #sandbox: string;
  readonly #podCount: number;
  /** By name of the member's pod. */
  readonly #smallVolumes = new Map<string, SmallVolume>();
  /** Pods that a fault hit: how often they had been restarted before, and when the fault was. */
  readonly #hurt = new Map<string, { restarts: number; at: number }>();

  /** @param podCount how many pods a healthy plane has */
  constructor(cluster: InfraCluster, sandbox: string, podCount: number) {
    this.#cluster = cluster;
    this.#sandbox = sandbox;
    this.#podCount = podCount;
  }

  async pods(component?: ComponentName): Promise<Pod[]> {
    const { items } = await this.#cluster.pods(
      [anyPlaneSelector, ...(component ? [`app.kubernetes.io/name=${component}`] : [])].join(','),
    );
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Kills the component's process in all of the pods at the same moment. */
  kill(pods: Pod[]): void {
    for (const pod of pods) {
      this.#note(pod);
      this.signal(pod, 'SIGKILL');
    }
  }

  #note(pod: Pod): void {
    this.#hurt.set(pod.metadata.uid!, { restarts: restarts(pod), at: Date.now() });
  }

  signal(pod: Pod, name: NodeJS.Signals): void {
    process.kill(processOf(pod), name);
  }

  async remove(pods: Pod[]): Promise<void> {
    await Promise.all(pods.map(({ metadata }) => this.#cluster.delete(podKind, metadata.name, metadata.uid)));
    for (const pod of pods) this.#note(pod);
  }

  /**
   * Drops all packets from and to these TCP ports of a pod, in the pod's own network namespace, so that the rules end with the
   * pod.
   */
  async cut(pod: Pod, ports: number[]): Promise<() => Promise<void>> {
    // The pause process lives as long as the pod's network, whatever the other containers do.
    const holder = String(processOf(pod, 'pause'));
    const inPod = (...rest: string[]) => run('nsenter', ['-t', holder, '-n', 'iptables', '-w', ...rest]);
    for (const chain of ['INPUT', 'OUTPUT'])
      for (const side of ['--sport', '--dport'])
        for (const port of ports) await inPod('-A', chain, '-p', 'tcp', side, String(port), '-j', 'DROP');
    return async () => {
      for (const chain of ['INPUT', 'OUTPUT']) await inPod('-F', chain);
    };
  }

  /** Waits until every pod is ready, and every pod that a fault hit was restarted; deletes one whose restart the kubelet delays. */
  async whole(seconds = 300): Promise<void> {
    let last = '';
    try {
      await waitUntil('', seconds, async () => {
        const pods = await this.pods();
        last = pods.map((pod) => `${pod.metadata.name} ${isReady(pod) ? 'ready' : 'not ready'}`).join(', ');
        for (const pod of pods)
          if (pod.status?.containerStatuses?.some(({ state }) => state?.waiting?.reason === 'CrashLoopBackOff'))
            await this.#cluster.delete(podKind, pod.metadata.name, pod.metadata.uid);
        const begunAgain = pods.every((pod) => {
          const before = this.#hurt.get(pod.metadata.uid!);
          // The kubelet of a machine that died counts restarts from 0 again.
          return !before || restarts(pod) > before.restarts || startOf(pod) > before.at;
        });
        return (pods.length === this.#podCount && begunAgain && pods.every(isReady)) || undefined;
      });
    } catch {
      throw new Error(`not all pods of the plane are ready after ${seconds} s: ${last}`);
    }
    this.#hurt.clear();
  }

  /**
   * Volumes of members with a limited size. The sandbox's volumes are folders of a machine without a limit, so a member is
   * restarted with a file system of its own that has the same content, and keeps it.
   */
  async smallVolumes(members: Pod[]): Promise<SmallVolume[]> {
    for (const member of members) {
      const { name } = member.metadata;
      if (this.#smallVolumes.has(name)) continue;
      this.#smallVolumes.set(name, await this.#limit(member));
      this.kill([member]);
      await this.whole();
    }
    return members.map(({ metadata }) => this.#smallVolumes.get(metadata.name)!);
  }

  async #limit(member: Pod): Promise<SmallVolume> {
    const pid = processOf(member);
    const machine = this.#machine(member.spec.nodeName!);
    const folder = `/opt/local-path-provisioner/${volumeOf(pid)}`;
    // The mount exists in the machine's mount namespace, and not in the box's.
    const seen = `/proc/${machine.init!.pid}/root${folder}`;
    this.signal(member, 'SIGSTOP');
    await inside(machine, ['mount', '-t', 'tmpfs', '-o', `size=${smallVolumeMegabytes}m`, 'tmpfs', folder]);
    const takeBack = () => inside(machine, ['umount', '-l', folder]);
    await run('cp', ['-a', `/proc/${pid}/root/var/lib/etcd/.`, seen]).catch(async (error) => {
      await takeBack();
      this.signal(member, 'SIGCONT');
      throw error;
    });
    const ballast = path.join(seen, 'ballast');
    return {
      // dd has to end with "no space left on device".
      fill: () =>
        run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k']).then(
          () => undefined,
          () => undefined,
        ),
      free: () => rmSync(ballast),
      takeBack,
    };
  }

  /** Gives members their old volumes, which lack all later writes: only for a plane that is destroyed next. */
  async close(): Promise<void> {
    for (const volume of this.#smallVolumes.values()) await volume.takeBack();
  }

  /** Kills all processes on the machine of a node, and starts the machine again `seconds` later. */
  async nodeDies(name: string, seconds: number): Promise<void> {
    for (const pod of await this.pods()) if (pod.spec.nodeName === name) this.#note(pod);
    process.kill(this.#machine(name).init!.pid, 'SIGKILL');
    await sleep(seconds * 1000);
    await sandboxUp({ name: this.#sandbox, workers: 0, infraNodes: 0 }, quietReporter);
  }

  /** A node that carries pods of the plane, and not the infra cluster's own control plane. */
  async nodes(): Promise<string[]> {
    const first = firstInfra(requireState(this.#sandbox)).name;
    const names = new Set((await this.pods()).map(({ spec }) => spec.nodeName!));
    return [...names].filter((name) => name !== first);
  }

  #machine(name: string): MachineState {
    return requireState(this.#sandbox).machines.find((machine) => machine.name === name)!;
  }
}

/** As large as the claim. */
const smallVolumeMegabytes = 1024;

interface SmallVolume {
  fill(): Promise<void>;
  free(): void;
  takeBack(): Promise<unknown>;
}

export const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;

/** When the last container of the pod started, milliseconds. */
const startOf = ({ status }: Pod) =>
  Math.max(...(status?.containerStatuses ?? []).map(({ state }) => Date.parse(state?.running?.startedAt ?? '') || 0));

const restarts = ({ status }: Pod) =>
  (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);

/** The PID on this box of a pod's component: the name of a container's cgroup has the UID of its pod. */
function processOf({ metadata }: Pod, program = metadata.labels?.['app.kubernetes.io/name'] ?? ''): number {
  const pid = readdirSync('/proc').find((entry) => {
    try {
      return (
        /^\d+$/.test(entry) &&
        readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === program.slice(0, 15) &&
        readFileSync(`/proc/${entry}/cgroup`, 'utf8').includes(metadata.uid!)
      );
    } catch {
      return false;
    }
  });
  if (pid === undefined) throw new Error(`${metadata.name} has no process ${program} on this box`);
  return Number(pid);
}

/** The folder of the volume that a process has at /var/lib/etcd: proc_pid_mountinfo(5), fields 4 and 5. */
function volumeOf(pid: number): string {
  for (const line of readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n')) {
    const [, , , root, mountPoint] = line.split(' ');
    if (mountPoint === '/var/lib/etcd') return path.basename(root!);
  }
  throw new Error('etcd has no volume');
}

export function anyOf<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

const killed = (component: ComponentName): PlaneFault => ({
  name: `${component} killed`,
  happen: async (plane, random) => plane.kill([anyOf(await plane.pods(component), random)]),
});

/** Long enough for the other members to elect a leader, and too short for the kubelet to restart the container. */
export const someSeconds = (random: () => number) => sleep(2000 + random() * 10_000);

const paused = (component: ComponentName): PlaneFault => ({
  name: `${component} stopped (SIGSTOP) for 2 to 12 s`,
  async happen(plane, random) {
    const pod = anyOf(await plane.pods(component), random);
    plane.signal(pod, 'SIGSTOP');
    try {
      await someSeconds(random);
    } finally {
      plane.signal(pod, 'SIGCONT');
    }
  },
});

const [clients, peers] = [2379, 2380];

const cutOff = (name: string, component: ComponentName, ports: number[]): PlaneFault => ({
  name: `${name} for 2 to 12 s`,
  async happen(plane, random) {
    const mend = await plane.cut(anyOf(await plane.pods(component), random), ports);
    await someSeconds(random).finally(mend);
  },
});

/** Faults of one pod at a time: the other pods of the component go on. */
export const kills: PlaneFault[] = components.map(killed);

/** All other faults that end by themselves and affect this plane alone. */
export const otherFaults: PlaneFault[] = [
  paused('etcd'),
  paused('kube-apiserver'),
  cutOff('a member cut off from the other members', 'etcd', [peers]),
  cutOff('a member cut off from members and API servers', 'etcd', [clients, peers]),
  cutOff('an API server cut off from all members', 'kube-apiserver', [clients]),
  {
    name: 'every process of the plane killed at once',
    happen: async (plane) => plane.kill(await plane.pods()),
  },
  {
    name: 'every pod of the plane deleted at once',
    happen: async (plane) => plane.remove(await plane.pods()),
  },
];

/** This fault also ends all other pods on the machine. */
export const nodeDeath: PlaneFault = {
  name: 'an infra node dead for 20 s',
  happen: async (plane, random) => plane.nodeDies(anyOf(await plane.nodes(), random), 20),
};
