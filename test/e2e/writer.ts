import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigMap } from '../../src/kube/objects.ts';
import { connectByFile } from '../connect-by-file.ts';
import type { Namespace } from './world.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const label = 'e2e-writer';

/** Writes one small object after the other into a hosted cluster, and remembers which of them were acknowledged. */
export class Writer {
  readonly acknowledged: string[] = [];
  /** The longest time between two acknowledged writes, milliseconds. */
  longestGap = 0;
  readonly #cluster: ReturnType<typeof connectByFile>;
  readonly #name: string;
  #stopped = false;
  readonly #working: Promise<void>;

  constructor(home: Namespace, name = 'writer') {
    this.#cluster = connectByFile(path.join(home.cwd, 'tls/kubeconfig'), 'default');
    this.#name = name;
    this.#working = this.#work();
  }

  async #work(): Promise<void> {
    let last = Date.now();
    for (let number = 0; !this.#stopped; number++) {
      const name = `${this.#name}-${number}`;
      try {
        await this.#cluster.create<ConfigMap>({ ...kind, metadata: { name, labels: { [label]: this.#name } } });
        this.acknowledged.push(name);
        this.longestGap = Math.max(this.longestGap, Date.now() - last);
        last = Date.now();
      } catch {
        // Not acknowledged: it may be there or not.
      }
      await sleep(20);
    }
  }

  /** Ends the writing. @returns acknowledged objects that the cluster does not have */
  async stop(): Promise<string[]> {
    this.#stopped = true;
    await this.#working;
    return this.lost();
  }

  /** Acknowledged objects that the cluster does not have; the writing may go on meanwhile. */
  async lost(): Promise<string[]> {
    const acknowledged = [...this.acknowledged];
    const { items } = await this.#cluster.list<ConfigMap>(kind, { labelSelector: `${label}=${this.#name}` });
    const there = new Set(items.map(({ metadata }) => metadata.name));
    return acknowledged.filter((name) => !there.has(name));
  }
}
