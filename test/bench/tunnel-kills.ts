import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { withSandboxLock } from '../../src/sandbox/lock.ts';
import { ensureDaemon } from '../../src/sandbox/machine.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { shuffled } from '../faults/random.ts';
import { killInPod } from '../kill-in-pod.ts';
import type { Kill } from './tunnel-load.ts';

/** What is killed: a kubelet, the agent on its worker, a hub, an API server. */
const victims = ['worker', 'agent', 'hub', 'API server'] as const;

interface Place {
  sandbox: string;
  /** Name of the worker's machine. */
  worker: string;
  cluster: InfraCluster;
  hosted: HostedCluster;
}

/** Kills one after the other, each victim as often as the others, at moments of chance within its turn. */
export class Killer {
  readonly kills: Kill[] = [];
  readonly #place: Place;
  /** UIDs of pods in which a container was killed: a second time, the kubelet would wait before it starts it again. */
  readonly #marked = new Set<string>();

  constructor(place: Place) {
    this.#place = place;
  }

  async run(count: number, gap: number, random: () => number): Promise<void> {
    const round = () => shuffled(victims, random);
    const order = Array.from({ length: Math.ceil(count / victims.length) }, round)
      .flat()
      .slice(0, count);
    const started = performance.now();
    for (const [index, victim] of order.entries()) {
      const moment = (index + 0.2 + random() * 0.3) * gap;
      await sleep(Math.max(0, started + moment - performance.now()));
      const kill = { what: victim as string, at: Date.now() };
      this.kills.push(kill);
      kill.what += await this.#kill(victim, random);
    }
  }

  async #kill(victim: (typeof victims)[number], random: () => number): Promise<string> {
    if (victim === 'worker') return restartKubelet(this.#place.sandbox, this.#place.worker);
    const { cluster, hosted } = this.#place;
    if (victim === 'agent') {
      const options = { namespace: 'kube-system', labelSelector: 'k8s-app=k8sk8s-tunnel-agent' };
      const [pod] = (await hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, options)).items;
      const end = ({ metadata }: Pod) => hosted.delete(pod!, metadata.name, 'kube-system', { gracePeriodSeconds: 0 });
      return this.#killOnce(pod!, /agent\.mjs/, end);
    }
    const { items } = await cluster.pods('app.kubernetes.io/name=kube-apiserver');
    const [pod] = shuffled(
      items.filter(({ metadata }) => !metadata.deletionTimestamp),
      random,
    );
    const command = victim === 'hub' ? /hub\.mjs/ : /^\S*kube-apiserver\b/;
    return this.#killOnce(pod!, command, (each) => cluster.endPod(each, 0));
  }

  async #killOnce(pod: Pod, command: RegExp, end: (pod: Pod) => Promise<unknown>): Promise<string> {
    const uid = pod.metadata.uid!;
    if (!this.#marked.has(uid) && killInPod(uid, command)) {
      this.#marked.add(uid);
      return '';
    }
    await end(pod);
    return ', with its pod';
  }
}

/** As systemd would, a second after it was killed. */
async function restartKubelet(sandbox: string, name: string): Promise<string> {
  return withSandboxLock(
    sandbox,
    async () => {
      const state = requireState(sandbox);
      const machine = state.machines.find((each) => each.name === name)!;
      const { pid } = machine.daemons.kubelet!;
      const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      const words = (file: string) => readFileSync(`/proc/${child}/${file}`, 'utf8').split('\0').filter(Boolean);
      const [command, environment] = [words('cmdline'), words('environ')];
      process.kill(Number(child), 'SIGKILL');
      await sleep(1000);
      const pairs = environment.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
      ensureDaemon(state, machine, 'kubelet', command, Object.fromEntries(pairs));
      return '';
    },
    90,
  );
}
