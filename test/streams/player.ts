import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { connectInfra } from '../../src/kube/connect.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import { hostedServer } from './hosted.ts';
import { seeded } from './seed.ts';
import { type Ask, askOf, isSelected, merged, refused, Store, send } from './store.ts';
import { type Answer, hashIn, type Item, isCause, placeOf, type Tape, writeKey } from './tape.ts';

/** How long, in milliseconds, k8sk8s may leave out what it did when the tape was made. */
const patience = 5000;

/**
 * Answers as an infra API did, over HTTP: what k8sk8s writes is stored, and what controllers made of it comes from the tape,
 * each event after the write that it followed. Beside it stands a hosted API, which answers while the tape has a ready API
 * server, with the certificate that k8sk8s made for it.
 *
 * `now` is a clock for `performance.now`: it jumps to where the tape is, so that 20 seconds pass in as long as k8sk8s works.
 */
export class Player {
  readonly #tape: Tape;
  readonly #infra = new Store();
  readonly #watches = new Map<http.ServerResponse, { plural: string; path: string; selector: string | null }>();
  /** How often each write was done. */
  readonly #done = new Map<string, number>();
  /** What stands on the tape, and what stands for it in this run: template hashes, the plane's name. */
  readonly #names = new Map<string, string>();
  readonly #servers: http.Server[] = [];
  readonly #begun = performance.now();
  readonly #real = performance.now.bind(performance);
  #skew = 0;
  #isStopped = false;
  /** Every request, by `GET pods` or `PATCH services/etcd0`; watches by `WATCH pods`. */
  readonly requests: string[] = [];
  /** Where the infra API is. */
  cluster!: InfraCluster;
  /** Of the hosted API, at `localhost`. */
  port!: number;
  /** Fails when k8sk8s does not do what it did when the tape was made. */
  stuck!: Promise<never>;

  private constructor(tape: Tape) {
    this.#tape = tape;
  }

  static async start(recorded: Tape): Promise<Player> {
    const player = new Player(moved(recorded, Date.now()));
    await player.#start();
    return player;
  }

  /** What to use as performance.now(). */
  readonly now = (): number => this.#real() + this.#skew;

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.cluster.close();
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  async #start(): Promise<void> {
    const hosted = hostedServer(this.#infra, this.#tape.namespace);
    this.port = await this.#listen(hosted);
    const infra = await this.#listen(http.createServer((request, response) => this.#askInfra(request, response)));
    this.cluster = connectInfra({ server: `http://127.0.0.1:${infra}` }, this.#tape.namespace);
    const { objects, names } = await seeded(this.#tape, this.port);
    for (const { object, applied } of objects) this.#infra.put(this.#path(object), object, applied);
    for (const [before, after] of names) this.#names.set(before, after);
    this.#infra.changed = ({ type, path, object, version }) => {
      for (const [response, { plural, path: at, selector }] of this.#watches)
        if (placeOf(path).plural === plural) this.#tell(response, at, selector, { type, path, object, version });
    };
    this.stuck = this.#play().then(() => new Promise<never>(() => undefined));
    this.stuck.catch(() => undefined);
  }

  async #listen(server: http.Server): Promise<number> {
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  #path(object: KubeObject, name: string | undefined = object.metadata.name): string {
    return pathOf(resourceOf(object), this.#tape.namespace, name);
  }

  /** What is on the tape, in the words of this run. */
  #translated<T>(value: T): T {
    let text = JSON.stringify(value);
    for (const [before, after] of this.#names) text = text.replaceAll(before, after);
    return JSON.parse(text) as T;
  }

  async #play(): Promise<void> {
    const awaited = new Map<string, number>();
    for (const item of this.#tape.items) {
      if ('write' in item) {
        const times = (awaited.get(item.write) ?? 0) + 1;
        awaited.set(item.write, times);
        await this.#untilDone(item.write, times, item.at);
      }
      if (this.#isStopped) return;
      this.#clockTo(item.at);
      this.#happen(item);
      // Whoever watches learns of one thing after the other.
      await turn();
      await turn();
    }
    // Nothing comes any more but the end of k8sk8s's patience.
    for (let at = this.#tape.lasted; !this.#isStopped; at += 500) {
      await sleep(10, undefined, { ref: false });
      this.#clockTo(at);
    }
  }

  async #untilDone(write: string, times: number, at: number): Promise<void> {
    const deadline = this.#real() + patience;
    while ((this.#done.get(write) ?? 0) < times && !this.#isStopped) {
      await sleep(5, undefined, { ref: false });
      this.#clockTo(at);
      if (this.#real() > deadline)
        throw new Error(`${write} was not done for the ${times}. time; the last requests: ${this.requests.slice(-12)}`);
    }
  }

  #clockTo(at: number): void {
    this.#skew = Math.max(this.#skew, at - (this.#real() - this.#begun));
  }

  #happen(item: Item): void {
    if ('cut' in item) {
      for (const [response, { plural }] of this.#watches) if (plural === item.cut) response.destroy();
    }
    if (!('event' in item)) return;
    const object = this.#translated(item.object);
    const path = this.#path(object);
    if (item.event === 'DELETED') {
      this.#infra.remove(path);
      return;
    }
    const before = this.#infra.find<KubeObject>(path);
    const isWhole = object.kind === 'Pod' || object.kind === 'Event' || !before;
    this.#infra.put(path, isWhole ? object : (merged(before, object) as KubeObject));
  }

  async #askInfra(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const ask = await askOf(request);
    const { plural, name, sub } = placeOf(ask.path);
    const watches = ask.query.get('watch') === 'true';
    const key = `${watches ? 'WATCH' : ask.method} ${[plural, name, sub].filter(Boolean).join('/')}`;
    this.requests.push(ask.query.get('dryRun') ? `${key} dry` : key);
    if (watches) this.#watch(ask, response);
    else if (sub === 'log') send(response, this.#log(ask));
    else send(response, this.#answerInfra(ask));
  }

  #log({ path, query }: Ask): Answer {
    const previous = query.get('previous') === 'true' ? ' previous' : '';
    const log = this.#tape.logs[`${placeOf(path).name}/${query.get('container')}${previous}`];
    return log === undefined ? refused(400, 'BadRequest') : { status: 200, body: log };
  }

  #answerInfra(ask: Ask): Answer {
    const { method, path, query, body } = ask;
    const { plural, namespaced, name } = placeOf(path);
    if (plural.endsWith('reviews')) return { status: 201, body: { ...(body as object), status: { allowed: true } } };
    const read = this.#tape.reads[`${method} ${path}`];
    if (read) return read;
    if (method === 'GET' || !namespaced) return this.#infra.answer(ask);
    const key = writeKey(method, path, query, body);
    const times = (this.#done.get(key) ?? 0) + 1;
    const written = this.#tape.writes[key]?.[times - 1];
    this.#learn(key, times, body);
    const answer = this.#answerWrite(ask, key, written && this.#translated(written));
    if (method !== 'GET' && isCause(plural) && name !== undefined && method === 'DELETE' && answer.status === 404)
      return answer;
    this.#done.set(key, times);
    return answer;
  }

  #answerWrite(ask: Ask, key: string, written: Tape['writes'][string][number] | undefined): Answer {
    if (written && 'refused' in written) return written.refused;
    // A pod goes when the tape says so.
    if (key.startsWith('DELETE pods/') && this.#infra.find(ask.path) && this.#isToGo(key.slice('DELETE pods/'.length)))
      return { status: 200, body: {} };
    return this.#infra.answer(ask, written?.adds);
  }

  #isToGo(pod: string): boolean {
    return this.#tape.items.some(
      (item) =>
        'event' in item && item.event === 'DELETED' && item.object.kind === 'Pod' && item.object.metadata.name === pod,
    );
  }

  /** What this run calls what has another name on the tape. */
  #learn(key: string, times: number, body: unknown): void {
    const there = this.#tape.items.filter((item) => 'write' in item && item.write === key)[times - 1];
    const hash = hashIn(body);
    if (there && 'hash' in there && there.hash && hash) this.#names.set(there.hash, hash);
    const { kind, metadata } = (body ?? {}) as Partial<KubeObject>;
    const own = metadata?.labels?.['app.kubernetes.io/instance'];
    const recorded = this.#tape.planeId;
    if (kind === 'ConfigMap' && key.startsWith('POST') && recorded && own) this.#names.set(recorded, own);
  }

  #watch({ path, query }: Ask, response: http.ServerResponse): void {
    const { plural } = placeOf(path);
    const selector = query.get('labelSelector');
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    this.#watches.set(response, { plural, path, selector });
    response.once('close', () => this.#watches.delete(response));
    const since = Number(query.get('resourceVersion') ?? 0);
    for (const change of this.#infra.changes)
      if (change.version > since && placeOf(change.path).plural === plural)
        this.#tell(response, path, selector, change);
  }

  #tell(
    response: http.ServerResponse,
    collection: string,
    selector: string | null,
    { type, path, object }: Store['changes'][number],
  ): void {
    if (!path.startsWith(`${collection}/`)) return;
    if (!isSelected(object, selector)) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
  }
}

/** The tape as if it had been made now. */
function moved(tape: Tape, now: number): Tape {
  const by = now - Date.parse(tape.began);
  const time = /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"/g;
  const later = (_: string, seconds: string, fraction = '') => {
    const at = new Date(Date.parse(`${seconds}${fraction.slice(0, 4)}Z`) + by).toISOString();
    return `"${fraction ? at : at.replace(/\.\d+/, '')}"`;
  };
  return JSON.parse(JSON.stringify(tape).replace(time, later)) as Tape;
}
