import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, ConnectionError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { Pod } from '../../src/kube/objects.ts';

/** Milliseconds: a container that has come and gone with its pod within this time is not heard. */
const lookEvery = 200;

/** The logs of all containers of a namespace, from their first line on, also of pods that live for a moment. */
export class PodLogs {
  readonly #cluster: InfraCluster;
  /** By `POD/CONTAINER`, those of a container that was restarted one after the other. */
  readonly #texts = new Map<string, string>();
  readonly #followed = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;

  constructor(cluster: InfraCluster) {
    this.#cluster = cluster;
    this.#looking = this.#look();
  }

  /** Ends the following. @returns what was logged, by `POD/CONTAINER`; at the last all that was written a second before */
  async end(): Promise<Map<string, string>> {
    // What was just written is on its way.
    await sleep(1000);
    this.#stop.abort();
    await this.#looking;
    await Promise.all(this.#followed.values());
    return this.#texts;
  }

  async #look(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const { items } = await this.#cluster.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }).catch(() => ({ items: [] }));
      for (const { metadata, status } of items)
        for (const { name, state, containerID } of [
          ...(status?.initContainerStatuses ?? []),
          ...(status?.containerStatuses ?? []),
        ])
          if (containerID !== undefined && !this.#followed.has(containerID) && (state?.running ?? state?.terminated))
            this.#followed.set(containerID, this.#follow(metadata.name, name));
      await sleep(lookEvery);
    }
  }

  async #follow(pod: string, container: string): Promise<void> {
    const source = `${pod}/${container}`;
    const add = (text: string) => this.#texts.set(source, (this.#texts.get(source) ?? '') + text);
    add('');
    try {
      const stream: Readable = await this.#cluster.followLog(pod, { container, signal: this.#stop.signal });
      for await (const chunk of stream) add(String(chunk));
    } catch (error) {
      // It went with its pod, or we do not listen any more.
      const gone = error instanceof ApiError || error instanceof ConnectionError;
      if (!gone && !this.#stop.signal.aborted && (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    }
  }
}
