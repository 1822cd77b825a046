import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { linesOf } from '../base/lines.ts';
import type { Kind, ListOptions } from './cluster.ts';
import { ApiError } from './errors.ts';
import type { KubeList, KubeObject } from './objects.ts';

/** A namespace of a cluster, or all of it. */
interface Watchable {
  list<T extends KubeObject>(kind: Kind, options: ListOptions): Promise<KubeList<T>>;
  watch(kind: Kind, options: ListOptions & { resourceVersion?: string }, signal: AbortSignal): Promise<Readable>;
}

export type WatchEvent<T> = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T };

/** Milliseconds to the first new list. */
const firstPause = 250;
/** Milliseconds that a watch has to last before the next failure counts as the first one again. */
const steady = 5000;

/**
 * Milliseconds to the next list after `failures` watches that ended early. They double, and half of each is chance: watches that an API
 * server has cut together do not come back together. Pure but for the chance.
 */
export function pauseAfter(failures: number, longest: number): number {
  return Math.min(longest, firstPause * 2 ** failures) * (0.5 + Math.random() / 2);
}

interface Following<T> {
  /** Milliseconds between two tries at most, once many have failed. */
  longest?: number;
  /** Told of each try that failed. With it, a 401 or 403 is tried again as any other failure is. */
  onFailure?(error: unknown): void;
  /** What of an object is held meanwhile, to be told when the object is found to be gone; by default all of it. */
  held?(object: T): T;
}

/**
 * Lists once, then follows: calls `onEvent` for everything there is and everything that changes until `signal` fires.
 * A watch that has lasted its time goes on where it ended. One that breaks or is told 410 Gone is opened again from a fresh list, so an
 * event may be seen twice; what was deleted meanwhile is told with what is held of the object.
 *
 * @throws ApiError 401 or 403, unless failures are told
 */
export async function follow<T extends KubeObject>(
  cluster: Watchable,
  kind: Kind,
  options: ListOptions,
  signal: AbortSignal,
  onEvent: (event: WatchEvent<T>) => void,
  { longest = 5000, onFailure, held = (object) => object }: Following<T> = {},
): Promise<void> {
  const seen = new Map<string | undefined, T>();
  const tell = (event: WatchEvent<T>) => {
    const { uid } = event.object.metadata;
    if (event.type === 'DELETED') seen.delete(uid);
    else seen.set(uid, held(event.object));
    onEvent(event);
  };
  let failures = 0;
  let version: string | undefined;
  while (!signal.aborted) {
    let opened: number | undefined;
    try {
      if (version === undefined) {
        const list = await cluster.list<T>(kind, options);
        const there = new Set(list.items.map(({ metadata }) => metadata.uid));
        for (const [uid, object] of seen) if (!there.has(uid)) tell({ type: 'DELETED', object });
        for (const object of list.items) tell({ type: 'ADDED', object });
        version = list.metadata.resourceVersion;
      }
      const stream = await cluster.watch(kind, { ...options, resourceVersion: version }, signal);
      opened = performance.now();
      version = await toldBy(stream, version, tell);
    } catch (error) {
      if (signal.aborted) return;
      version = undefined;
      if (onFailure) onFailure(error);
      else if (error instanceof ApiError && (error.status === 401 || error.status === 403)) throw error;
    }
    if (opened !== undefined && performance.now() - opened > steady) failures = 0;
    await sleep(pauseAfter(failures++, longest), undefined, { signal }).catch(() => undefined);
  }
}

/** @returns up to where it has told, by events and bookmarks; undefined where that is too old to go on from */
async function toldBy<T extends KubeObject>(
  stream: Readable,
  from: string | undefined,
  tell: (event: WatchEvent<T>) => void,
): Promise<string | undefined> {
  let version = from;
  for await (const line of linesOf(stream)) {
    if (line === '') continue;
    const event = JSON.parse(line) as { type: string; object: T };
    if (event.type === 'ERROR') return undefined;
    if (event.type !== 'BOOKMARK') tell(event as WatchEvent<T>);
    if (version !== undefined) version = event.object.metadata.resourceVersion;
  }
  return version;
}
