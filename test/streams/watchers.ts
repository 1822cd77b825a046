import type http from 'node:http';
import { type Ask, isSelected, type Store } from './store.ts';
import { placeOf } from './tape.ts';

type Change = Store['changes'][number];

interface Watcher {
  response: http.ServerResponse;
  plural: string;
  collection: string;
  selector: string | null;
}

/** Those who watch a store over HTTP, from the resourceVersion that they name. */
export class Watchers {
  readonly #store: Store;
  readonly #all = new Set<Watcher>();

  constructor(store: Store) {
    this.#store = store;
    store.changed = (change) => {
      for (const watcher of this.#all) tell(watcher, change);
    };
  }

  add({ path, query }: Ask, response: http.ServerResponse): void {
    const watcher = { response, plural: placeOf(path).plural, collection: path, selector: query.get('labelSelector') };
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    this.#all.add(watcher);
    response.once('close', () => this.#all.delete(watcher));
    const since = Number(query.get('resourceVersion') ?? 0);
    for (const change of this.#store.changes) if (change.version > since) tell(watcher, change);
  }

  /** Breaks the connections of all watches of a kind. */
  cut(plural: string): void {
    for (const { response, plural: watched } of this.#all) if (watched === plural) response.destroy();
  }
}

function tell({ response, collection, selector }: Watcher, { type, path, object }: Change): void {
  if (path.startsWith(`${collection}/`) && isSelected(object, selector))
    response.write(`${JSON.stringify({ type, object })}\n`);
}
