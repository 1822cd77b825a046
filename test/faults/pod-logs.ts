import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, ConnectionError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { Pod } from '../../src/kube/objects.ts';

/** Milliseconds: the log of a container is missed when its pod begins and ends within this time. */
const lookEvery = 200;

/** Follows the logs of all containers of a namespace from their first line on, also of pods that live for a moment. */
export class PodLogs {
  readonly #cluster: InfraCluster;
  /** By `POD/CONTAINER`; the logs of a restarted container follow each other. */
  readonly #texts = new Map<string, string>();
  readonly #followed = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;

  constructor(cluster: InfraCluster) {
    this.#cluster = cluster;
    this.#looking = this.#look();
  }

  /** Stops. @returns the logs by `POD/CONTAINER`, with at least all lines that are older than a second */
  async end(): Promise<Map<string, string>> {
    // The last lines are still being sent.
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
      // The container is gone with its pod, or the run is over.
      const gone = error instanceof ApiError || error instanceof ConnectionError;
      if (!gone && !this.#stop.signal.aborted && (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    }
  }
}
