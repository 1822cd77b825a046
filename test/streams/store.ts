import type http from 'node:http';
import { json } from 'node:stream/consumers';
import { fieldManager } from '../../src/kube/cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { type Answer, placeOf } from './tape.ts';

export interface Ask {
  method: string;
  path: string;
  query: URLSearchParams;
  contentType: string;
  body?: unknown;
}

type Change = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; path: string; object: KubeObject; version: number };

/**
 * Objects by their paths, with what every API server does for them: UIDs, resourceVersions, generations, 404, 409, dry runs
 * and label selectors. It knows no kinds, defaults, controllers or rights: those are on the tape.
 */
export class Store {
  readonly #objects = new Map<string, KubeObject>();
  /** What was applied last, as text. */
  readonly #applied = new Map<string, string>();
  readonly changes: Change[] = [];
  #version = 1000;
  /** Is told of each change. */
  changed: (change: Change) => void = () => undefined;

  get version(): string {
    return String(this.#version);
  }

  find<T extends KubeObject>(path: string): T | undefined {
    return structuredClone(this.#objects.get(path)) as T | undefined;
  }

  /** @param collection path without the name */
  list(collection: string, selector?: string | null): KubeObject[] {
    return [...this.#objects]
      .filter(([path]) => path.startsWith(`${collection}/`) && !path.slice(collection.length + 1).includes('/'))
      .map(([, object]) => structuredClone(object))
      .filter((object) => isSelected(object, selector));
  }

  /** @param applied what an apply of the same text changes nothing of */
  put(path: string, object: KubeObject, applied?: unknown): KubeObject {
    const before = this.#objects.get(path);
    const version = ++this.#version;
    const stored = structuredClone(object);
    stored.metadata.resourceVersion = String(version);
    stored.metadata.uid ??= `uid-${version}`;
    this.#objects.set(path, stored);
    if (applied !== undefined) this.#applied.set(path, JSON.stringify(applied));
    this.#note({ type: before ? 'MODIFIED' : 'ADDED', path, object: stored, version });
    return structuredClone(stored);
  }

  remove(path: string): void {
    const object = this.#objects.get(path);
    if (!object) return;
    this.#objects.delete(path);
    this.#applied.delete(path);
    this.#note({ type: 'DELETED', path, object, version: ++this.#version });
  }

  #note(change: Change): void {
    this.changes.push(change);
    this.changed(change);
  }

  /** @param adds what the server puts into the object that is written, beyond what is said above */
  answer(ask: Ask, adds: object = {}): Answer {
    const { method, path, query, body } = ask;
    const { name } = placeOf(path);
    if (method === 'GET') {
      if (name === undefined) return { status: 200, body: this.#listed(path, query) };
      return this.#objects.has(path) ? { status: 200, body: this.find(path) } : refused(404, 'NotFound');
    }
    if (method === 'DELETE') return this.#delete(path, body);
    const at = method === 'POST' ? `${path}/${(body as KubeObject).metadata.name}` : path;
    const before = this.find(at);
    if (method === 'POST' && before) return refused(409, 'AlreadyExists');
    if (method !== 'POST' && !before && !ask.contentType.includes('apply')) return refused(404, 'NotFound');
    if (method === 'PUT' && (body as KubeObject).metadata.resourceVersion !== before?.metadata.resourceVersion)
      return refused(409, 'Conflict');
    if (ask.contentType.includes('apply') && before && this.#applied.get(at) === JSON.stringify(body))
      return { status: 200, body: before };
    const next = merged(merged(this.#written(ask, before), body as object), adds) as KubeObject;
    const whole = ask.contentType.includes('merge') ? undefined : body;
    if (query.get('dryRun')) return { status: before ? 200 : 201, body: next };
    return { status: before ? 200 : 201, body: this.put(at, next, whole) };
  }

  #listed(path: string, query: URLSearchParams): object {
    return { metadata: { resourceVersion: this.version }, items: this.list(path, query.get('labelSelector')) };
  }

  #delete(path: string, options: unknown): Answer {
    const object = this.#objects.get(path);
    if (!object) return refused(404, 'NotFound');
    const uid = (options as { preconditions?: { uid?: string } } | undefined)?.preconditions?.uid;
    if (uid !== undefined && uid !== object.metadata.uid) return refused(409, 'Conflict');
    this.remove(path);
    return { status: 200, body: {} };
  }

  /** The object as it was, with what is noted at every write. */
  #written({ method, contentType, body }: Ask, before: KubeObject | undefined): KubeObject {
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const specChanges = before && (body as { spec?: object }).spec !== undefined;
    const metadata = {
      ...(before?.metadata ?? { creationTimestamp: now }),
      generation: (before?.metadata.generation ?? 0) + (before && !specChanges ? 0 : 1),
      ...(contentType.includes('apply') && {
        managedFields: [{ manager: fieldManager, operation: 'Apply', time: now }],
      }),
    };
    return { ...(method === 'PUT' ? {} : before), metadata } as KubeObject;
  }
}

export function refused(status: number, reason: string, message = reason): Answer {
  return { status, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code: status } };
}

export function isSelected({ metadata: { labels = {} } }: KubeObject, selector?: string | null): boolean {
  return (selector ?? '')
    .split(',')
    .filter(Boolean)
    .every((term) => {
      const [key = '', value] = term.split('=');
      return value === undefined ? key in labels : labels[key] === value;
    });
}

/** RFC 7386, and lists of objects of the same length member by member. */
export function merged(before: unknown, after: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return after.map((each, index) => (isObject(each) ? merged(before[index], each) : each));
  if (!isObject(after)) return after;
  const result: Record<string, unknown> = isObject(before) ? { ...before } : {};
  for (const [key, value] of Object.entries(after)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merged(result[key], value);
  }
  return result;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export async function askOf(request: http.IncomingMessage): Promise<Ask> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const contentType = request.headers['content-type'] ?? '';
  const body = contentType === '' ? undefined : await json(request);
  return {
    method: request.method ?? 'GET',
    path: decodeURIComponent(url.pathname),
    query: url.searchParams,
    contentType,
    body,
  };
}

export function send(response: http.ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': typeof body === 'string' ? 'text/plain' : 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
