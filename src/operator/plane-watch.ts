import { setMaxListeners } from 'node:events';
import { fieldManager, type Kind } from '../kube/cluster.ts';
import { isNotFound } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import { follow } from '../kube/watch.ts';
import { planeKinds } from '../plane/kinds.ts';
import { planeSelector } from '../plane/names.ts';

/** Those who write to a plane's objects all the time: this program, and the controllers of the infra cluster. */
const usualWriters = [fieldManager, 'kube-controller-manager'];

/** Milliseconds between two tries of a watch at most: an API server that comes back has the watches of all planes to serve. */
const longestPause = 30_000;

/**
 * Sees that somebody changed or deleted an object of a plane, or that a pod of it is Ready no longer, by one watch for each kind of which
 * the plane has objects (docs/adr/0051-the-operator.md). Of the objects only the metadata comes here, so no Secret is read.
 */
export class PlaneWatch {
  readonly #ended = new AbortController();
  readonly #cluster: InfraCluster;
  readonly #labelSelector: string;
  readonly #onDrift: (what: string) => void;
  readonly #watched = new Set<Kind>();
  #broken = false;

  /** @param cluster closed with the watch @param onDrift called with what was noticed: `Service apiserver was changed by kubectl` */
  constructor(cluster: InfraCluster, planeId: string, onDrift: (what: string) => void) {
    this.#cluster = cluster;
    this.#labelSelector = planeSelector(planeId);
    this.#onDrift = onDrift;
    // Each watch listens to it, and so does each of its requests.
    setMaxListeners(0, this.#ended.signal);
    this.#followPods();
  }

  /**
   * Watches the kinds of which the plane has objects by now. Of a kind without any, nothing can be changed or deleted, and a connection and a
   * watch would be kept for it; an infra cluster that does not serve the kind would be asked for it for ever.
   *
   * @returns whether a kind is watched that was not before
   */
  async extend(): Promise<boolean> {
    const unwatched = planeKinds.filter((kind) => !this.#watched.has(kind));
    const found = await Promise.all(unwatched.map((kind) => this.#hasObjects(kind)));
    if (this.#ended.signal.aborted) return false;
    const fresh = unwatched.filter((kind, index) => found[index] && !this.#watched.has(kind));
    for (const kind of fresh) {
      this.#watched.add(kind);
      this.#followObjects(kind);
    }
    return fresh.length > 0;
  }

  /** What cannot be told counts as some: the watch tries again. */
  async #hasObjects(kind: Kind): Promise<boolean> {
    try {
      const { items } = await this.#cluster.list(kind, { labelSelector: this.#labelSelector, metadataOnly: true });
      return items.length > 0;
    } catch (error) {
      return !isNotFound(error);
    }
  }

  #followObjects(kind: Kind): void {
    const seen = new Map<string | undefined, string[]>();
    this.#follow<KubeObject>(kind, { labelSelector: this.#labelSelector, metadataOnly: true }, ({ type, object }) => {
      const { uid, name } = object.metadata;
      const writes = foreignWrites(object);
      const before = seen.get(uid);
      seen.set(uid, writes);
      const fresh = before && writes.find((write) => !before.includes(write));
      if (type === 'DELETED') {
        seen.delete(uid);
        this.#onDrift(`${kind.kind} ${name} was deleted`);
      }
      // What it was when the watch began, the plane has just been compared with.
      else if (fresh !== undefined) this.#onDrift(`${kind.kind} ${name} was changed by ${fresh}`);
    });
  }

  #followPods(): void {
    const ready = new Map<string, boolean>();
    const labelSelector = this.#labelSelector;
    this.#follow<Pod>({ apiVersion: 'v1', kind: 'Pod' }, { labelSelector }, ({ type, object }) => {
      const { name } = object.metadata;
      const isReady =
        object.status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
      if (ready.get(name) && (type === 'DELETED' || !isReady)) this.#onDrift(`pod ${name} is Ready no longer`);
      if (type === 'DELETED') ready.delete(name);
      else ready.set(name, isReady);
    });
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.#cluster.close();
  }

  /** A kind may not be watched any more: of this plane not everything is noticed. */
  get broken(): boolean {
    return this.#broken;
  }

  #follow<T extends KubeObject>(...[kind, options, onEvent]: FollowArguments<T>): void {
    // Of thirty planes, whole objects would be several MiB: most of an object's metadata is the list of its fields by their writers.
    const held = ({ apiVersion, kind, metadata: { name, uid } }: T) =>
      ({ apiVersion, kind, metadata: { name, uid } }) as T;
    follow<T>(this.#cluster, kind, options, this.#ended.signal, onEvent, { longest: longestPause, held }).catch(() => {
      this.#broken = true;
    });
  }
}

type FollowArguments<T extends KubeObject> = [
  kind: Parameters<typeof follow<T>>[1],
  options: Parameters<typeof follow<T>>[2],
  onEvent: Parameters<typeof follow<T>>[4],
];

/** Who wrote to the object, and when, but for the usual writers; by /scale too, but not to the status. Pure. */
function foreignWrites({ metadata }: KubeObject): string[] {
  return (metadata.managedFields ?? [])
    .filter(({ manager, subresource }) => subresource !== 'status' && !usualWriters.includes(manager ?? ''))
    .map(({ manager, time }) => `${manager ?? 'somebody'} at ${time}`);
}
