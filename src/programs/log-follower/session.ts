import { setMaxListeners } from 'node:events';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Pod } from '../../kube/objects.ts';
import { follow } from '../../kube/watch.ts';
import { ContainerLog, type LogApi, type SeenContainer } from './container-log.ts';
import type { Positions } from './positions.ts';
import { Sender } from './sender.ts';
import type { Store } from './store.ts';

/** Pods that bear these names write no log of the plane: the store's own, and workers, which write what their pods do. */
const leftOut = ['log-store', 'worker-pod'];

/** Milliseconds from the first pod of a watch until all that are there are known. */
const settling = 5000;

/** From when the store answers until it does not any more. */
export class Session {
  readonly #cluster: InfraCluster;
  readonly #selector: string;
  readonly #positions: Positions;
  readonly #stop = new AbortController();
  readonly #seen = new Map<string, SeenContainer>();
  readonly #logs = new Set<Promise<void>>();
  readonly sender: Sender;

  constructor(cluster: InfraCluster, selector: string, positions: Positions, store: Store) {
    this.#cluster = cluster;
    this.#selector = selector;
    this.#positions = positions;
    // The log of each container listens to it as long as it is followed.
    setMaxListeners(0, this.#stop.signal);
    this.sender = new Sender(store, positions, this.#stop.signal);
  }

  end(): void {
    this.#stop.abort();
  }

  /** @throws what ended it: the store is gone, or the rights are */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    try {
      await Promise.race([
        this.sender.run(),
        follow<Pod>(
          this.#cluster,
          { apiVersion: 'v1', kind: 'Pod' },
          { labelSelector: this.#selector },
          signal,
          (event) => this.#take(event.object, event.type === 'DELETED'),
        ),
      ]);
    } finally {
      this.end();
      await Promise.all(this.#logs);
      this.#positions.save();
    }
  }

  #take({ metadata, spec, status }: Pod, gone: boolean): void {
    const component = metadata.labels?.['app.kubernetes.io/name'] ?? '';
    if (leftOut.includes(component)) return;
    this.#missed();
    for (const { name: container } of spec.containers) {
      const key = `${metadata.uid}/${container}`;
      const now = status?.containerStatuses?.find(({ name }) => name === container);
      const seen = {
        pod: metadata.name,
        container,
        component,
        restarts: now?.restartCount ?? this.#seen.get(key)?.restarts ?? 0,
        running: now?.state?.running !== undefined,
        ran:
          now?.state?.running !== undefined ||
          now?.state?.terminated !== undefined ||
          now?.lastState?.terminated !== undefined,
        gone,
      };
      const isNew = !this.#seen.has(key);
      this.#seen.set(key, seen);
      if (isNew && !gone) this.#begin(key);
    }
  }

  #begin(key: string): void {
    const { signal } = this.#stop;
    const parts = { api: this.#api, sender: this.sender, positions: this.#positions, signal };
    const running = new ContainerLog(key, () => this.#seen.get(key)!, parts).run().then(
      () => {
        if (this.#seen.get(key)?.gone) this.#seen.delete(key);
      },
      (error: Error) => console.error(`${key}: ${error.stack}`),
    );
    this.#logs.add(running);
    void running.finally(() => this.#logs.delete(running));
  }

  #looked = false;

  /** Once, when the pods are known: what went away while nobody looked. */
  #missed(): void {
    if (this.#looked) return;
    this.#looked = true;
    setTimeout(() => {
      // The next session looks itself.
      if (!this.#stop.signal.aborted) loseUnseen(this.#positions, this.#seen, this.sender);
    }, settling).unref();
  }

  readonly #api: LogApi = {
    open: (pod, { container, follow: follows, previous, sinceTime }, signal) =>
      this.#cluster.followLog(pod, { container, follow: follows, previous, sinceTime, timestamps: true, signal }),
  };
}

/** What is known of a container that is seen no more ends: its log went while nobody read it. @param seen by the keys of `positions` */
export function loseUnseen(positions: Positions, seen: ReadonlyMap<string, unknown>, sender: Sender): void {
  for (const [key, { pod, container, ended }] of positions.all()) {
    if (seen.has(key)) continue;
    positions.delete(key);
    if (!ended) sender.lose(`the end of the log of ${container}: its pod ${pod} went while it was not read`, pod);
  }
}
