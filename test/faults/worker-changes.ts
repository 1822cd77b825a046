import { shuffled } from './random.ts';

// What is killed while the workers of a plane change, and how they change. Pure.

/** What is killed, by SIGKILL but for the pod, which is deleted without a grace. */
export const victimNames = ['cli', 'worker-pod', 'pid-1', 'api-server', 'infra-kubelet'] as const;
export type Victim = (typeof victimNames)[number];

export const changeNames = ['scale', 'upgrade', 'exposure', 'size'] as const;
export type ChangeName = (typeof changeNames)[number];

export interface PlannedKill {
  victim: Victim;
  during: ChangeName;
  /** Milliseconds after the start of the command. */
  after: number;
  /** Of the infra nodes, that whose kubelet is killed: a number in [0, 1). */
  node: number;
  /** Seconds until that kubelet is started again. After some 40 s the node is NotReady, and so is the API server on it. */
  away: number;
}

/** Milliseconds. */
const latest = 15_000;

/** Each victim and each change comes as often as any other, in random order. */
export function planKills(
  count: number,
  { victims, changes }: { victims: readonly Victim[]; changes: readonly ChangeName[] },
  random: () => number,
): PlannedKill[] {
  const rounds = <T>(names: readonly T[]) =>
    Array.from({ length: Math.ceil(count / names.length) }, () => shuffled(names, random)).flat();
  const [killed, changed] = [rounds(victims), rounds(changes)];
  return Array.from({ length: count }, (_, index) => ({
    victim: killed[index]!,
    during: changed[index]!,
    after: random() * latest,
    node: random(),
    away: random() < 0.5 ? 5 : 50,
  }));
}

export interface Change {
  name: string;
  args: string[];
  /** How many workers there are afterwards. */
  workers: number;
}

/** Version of the plane, and of its workers, at the beginning. */
export const olderVersion = '1.36';
const newerVersion = '1.37';

/** Each brings the plane to another state than the one before. */
export class Changes {
  readonly #ways: { name: string; args: string[] }[];
  #workers = 2;
  #way = 0;
  #upgraded = false;
  #olderWorkers = false;
  #millicores = 300;

  /** @param host a name that leads to the ingress controller @param address of an infra node */
  constructor(host: string, address: string) {
    this.#ways = [
      { name: 'cluster', args: ['--reset', 'host'] },
      { name: 'nodeport', args: ['-h', address] },
      { name: 'ingress', args: ['-h', host] },
    ];
  }

  next(name: ChangeName): Change {
    const makers = { scale: this.#scale, upgrade: this.#upgrade, exposure: this.#expose, size: this.#resize };
    return makers[name].call(this);
  }

  #scale(): Change {
    this.#workers = (this.#workers % 3) + 1;
    return this.#of(`scale to ${this.#workers}`, ['workers', 'scale', String(this.#workers)]);
  }

  #expose(): Change {
    this.#way = (this.#way + 1) % this.#ways.length;
    const { name, args } = this.#ways[this.#way]!;
    return this.#of(`change to --expose ${name}`, ['deploy', '--expose', name, ...args, '--yes']);
  }

  #resize(): Change {
    this.#millicores = this.#millicores === 300 ? 400 : 300;
    const size = `cpu=${this.#millicores}m,memory=1Gi`;
    return this.#of(`change to ${size}`, ['deploy', '--worker-resources', size, '--yes']);
  }

  /** The plane with its workers once, and then the workers alone, back and forth. */
  #upgrade(): Change {
    if (!this.#upgraded) {
      this.#upgraded = true;
      return this.#of(`upgrade to ${newerVersion}`, ['upgrade', '--to', newerVersion, '--no-backup']);
    }
    this.#olderWorkers = !this.#olderWorkers;
    return this.#olderWorkers
      ? this.#of(`workers to ${olderVersion}`, ['deploy', '--worker-version', olderVersion, '--yes'])
      : this.#of(`workers to ${newerVersion}`, ['deploy', '--reset', 'worker-version', '--yes']);
  }

  #of(name: string, args: string[]): Change {
    return { name, args, workers: this.#workers };
  }
}
