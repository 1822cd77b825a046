import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { connectInfra } from '../../src/kube/connect.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { sourceOf } from '../../src/kube/credential-source.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeList, KubeObject } from '../../src/kube/objects.ts';
import { follow } from '../../src/kube/watch.ts';
import { Wire } from '../../src/kube/wire.ts';
import { readRecord } from '../../src/live/record.ts';
import {
  type Answer,
  additions,
  changedParts,
  hashIn,
  type Item,
  isCause,
  placeOf,
  type Tape,
  trimmed,
  watchedKinds,
  writeKey,
} from './tape.ts';

/** What a namespace holds that the tape begins with. */
const startKinds = [
  ...watchedKinds.filter(({ kind }) => kind !== 'Event'),
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'v1', kind: 'ResourceQuota' },
  { apiVersion: 'v1', kind: 'LimitRange' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
];

/** What the recording is told of while it goes on. */
export interface Hooks {
  /** Before a write is sent. */
  beforeWrite?(key: string): Promise<void>;
  /** Of what happens in the namespace; `cut` breaks all watches off that k8sk8s has of a kind. */
  onEvent?(item: Item, cut: (plural: string) => void): void;
}

/**
 * A proxy on loopback between k8sk8s and the infra API, which writes down what is written, and beside it watches the
 * namespace itself. Nothing of a Secret but its name comes onto the tape.
 */
export class Recorder {
  readonly #connection: Connection;
  readonly #infra: InfraCluster;
  readonly #wire: Wire;
  readonly #hooks: Hooks;
  readonly #stop = new AbortController();
  readonly #begun = performance.now();
  readonly #watches = new Map<http.ServerResponse, string>();
  readonly #tape: Tape;
  /** As they were told last. */
  readonly #told = new Map<string, KubeObject>();
  #server!: http.Server;

  private constructor(connection: Connection, namespace: string, about: string, hooks: Hooks) {
    this.#connection = connection;
    this.#infra = connectInfra(connection, namespace);
    this.#wire = new Wire(connection);
    this.#hooks = hooks;
    const began = new Date().toISOString();
    this.#tape = {
      about,
      kubernetes: '',
      namespace,
      began,
      lasted: 0,
      start: [],
      reads: {},
      logs: {},
      writes: {},
      items: [],
    };
  }

  static async start(connection: Connection, namespace: string, about: string, hooks: Hooks = {}): Promise<Recorder> {
    const recorder = new Recorder(connection, namespace, about, hooks);
    await recorder.#start();
    return recorder;
  }

  /** The namespace through the recorder. */
  get cluster(): InfraCluster {
    const { port } = this.#server.address() as AddressInfo;
    return connectInfra({ server: `http://127.0.0.1:${port}` }, this.#tape.namespace);
  }

  async stop(): Promise<Tape> {
    // What k8sk8s has just done has its consequences.
    await sleep(500);
    this.#tape.lasted = this.#now();
    this.#stop.abort();
    this.#server.closeAllConnections();
    this.#server.close();
    const record = await readRecord(this.#infra).catch(() => undefined);
    this.#tape.planeId ??= record?.planeId;
    await this.#infra.close();
    await this.#wire.close();
    return this.#tape;
  }

  async #start(): Promise<void> {
    const tape = this.#tape;
    tape.kubernetes = (await this.#infra.version()).gitVersion;
    tape.record = await readRecord(this.#infra);
    tape.planeId = tape.record?.planeId;
    for (const kind of startKinds) tape.start.push(...(await this.#infra.list(kind)).items.map(trimmed));
    for (const object of tape.start) this.#told.set(`${object.kind}/${object.metadata.name}`, object);
    for (const kind of watchedKinds) {
      const since = (await this.#infra.list(kind)).items.map(({ metadata }) => metadata.resourceVersion);
      void follow<KubeObject>(this.#infra, kind, {}, this.#stop.signal, ({ type, object }) => {
        if (type === 'ADDED' && since.includes(object.metadata.resourceVersion)) return;
        this.#tell(type, trimmed(Object.assign(object, kind)));
      });
    }
    this.#server = http.createServer((request, response) => {
      this.#pass(request, response).catch((error) => response.destroy(error as Error));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  #now(): number {
    return Math.round(performance.now() - this.#begun);
  }

  #tell(event: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    // What goes well is told by the objects themselves.
    if (object.kind === 'Event' && (object as unknown as { type?: string }).type !== 'Warning') return;
    const key = `${object.kind}/${object.metadata.name}`;
    const before = this.#told.get(key);
    const isChange = event === 'MODIFIED' && before !== undefined && object.kind !== 'Event';
    const shown = isChange ? changedParts(before, object) : object;
    this.#told.set(key, object);
    if (isChange && isDeepStrictEqual(before, object)) return;
    const item = { at: this.#now(), event, object: shown };
    this.#tape.items.push(item);
    this.#hooks.onEvent?.({ ...item, object }, (plural) => {
      this.#tape.items.push({ at: this.#now(), cut: plural });
      for (const [response, of] of this.#watches) if (of === plural) response.destroy();
    });
  }

  async #pass(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const body = await text(request);
    const parsed: unknown = body === '' ? undefined : JSON.parse(body);
    const { method = 'GET' } = request;
    const { plural } = placeOf(url.pathname);
    const isWatch = url.searchParams.get('watch') === 'true';
    const key = writeKey(method, url.pathname, url.searchParams, parsed);
    const isWrite = method !== 'GET' && !plural.endsWith('reviews');
    if (isWrite && !key.endsWith(' dry')) await this.#hooks.beforeWrite?.(key);
    const item: Item | undefined =
      isWrite && isCause(plural) && !key.endsWith(' dry')
        ? { at: this.#now(), write: key, hash: hashIn(parsed) }
        : undefined;
    if (item) this.#tape.items.push(item);
    const answer = await sent(this.#connection, this.#wire, { request, url, body });
    response.writeHead(answer.statusCode ?? 500, {
      'Content-Type': answer.headers['content-type'] ?? 'application/json',
    });
    if (isWatch) {
      this.#watches.set(response, plural);
      response.once('close', () => {
        this.#watches.delete(response);
        answer.destroy();
      });
      answer.on('error', () => response.destroy());
      response.flushHeaders();
      answer.pipe(response);
      return;
    }
    const told = await text(answer);
    response.end(told);
    const known = { method, status: answer.statusCode ?? 500, text: told };
    // A pod that was not there was only looked for.
    if (item && method === 'DELETE' && known.status === 404) this.#tape.items.splice(this.#tape.items.indexOf(item), 1);
    keep(this.#tape, url, { key: isWrite ? key : undefined, ...known });
  }
}

/** Sends a request on as it came, with the credentials of the connection. */
async function sent(
  connection: Connection,
  wire: Wire,
  { request, url, body }: { request: http.IncomingMessage; url: URL; body: string },
): Promise<http.IncomingMessage> {
  const target = new URL(connection.server);
  target.pathname = target.pathname.replace(/\/$/, '') + url.pathname;
  target.search = url.search;
  const credential = await sourceOf(connection.credentials).current();
  const { accept = 'application/json' } = request.headers;
  const type = request.headers['content-type'];
  const headers = {
    Accept: accept,
    ...(body !== '' && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }),
  };
  const outgoing = await wire.request(target, { method: request.method ?? 'GET', headers }, credential);
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Puts an answer onto the tape, as far as it is not the same as what was asked. @param key of a write */
function keep(
  tape: Tape,
  url: URL,
  { method, key, status, text: told }: { method: string; key?: string; status: number; text: string },
): void {
  const { plural, namespaced, name, sub } = placeOf(url.pathname);
  if (sub === 'log') {
    const previous = url.searchParams.get('previous') === 'true' ? ' previous' : '';
    if (status < 400) tape.logs[`${name}/${url.searchParams.get('container')}${previous}`] = told;
  } else if (key === undefined) {
    if (!namespaced && !plural.endsWith('reviews'))
      tape.reads[`${method} ${url.pathname}`] = { status, body: readable(told) };
  } else if (method !== 'DELETE' && plural !== 'leases' && status !== 409) {
    const isDry = key.endsWith(' dry');
    const bare = plural === 'secrets' || plural === 'configmaps';
    const body = JSON.parse(told) as KubeObject;
    tape.writes[key] ??= [];
    tape.writes[key].push(status >= 400 ? { refused: { status, body } } : { adds: bare ? {} : additions(body, isDry) });
  }
}

/** An answer as far as it is read: what names machines of the infra cluster is left out. */
function readable(told: string): Answer['body'] {
  try {
    const body = JSON.parse(told) as KubeList<KubeObject> & KubeObject;
    if (Array.isArray(body.items)) return { ...body, items: body.items.map((each) => withoutFields(each)) };
    return body.metadata ? withoutFields(body) : body;
  } catch {
    return told;
  }
}

function withoutFields(object: KubeObject): KubeObject {
  const { managedFields: _, annotations: __, ...metadata } = object.metadata ?? {};
  return { ...object, metadata } as KubeObject;
}
