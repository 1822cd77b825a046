import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connectInfra } from '../../src/kube/connect.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import { TapeClock } from './clock.ts';
import { hostedServer } from './hosted.ts';
import { InfraAnswers } from './infra.ts';
import { seeded } from './seed.ts';
import { askOf, merged, Store, send } from './store.ts';
import { type Item, placeOf, type Tape, withParts } from './tape.ts';
import { Watchers } from './watchers.ts';

/** How long, in milliseconds, k8sk8s may leave out what it did when the tape was made. */
const patience = 15_000;

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
  readonly #answers: InfraAnswers;
  readonly #watchers = new Watchers(this.#infra);
  readonly #servers: http.Server[] = [];
  readonly #clock = new TapeClock();
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
    this.#answers = new InfraAnswers(tape, this.#infra);
  }

  static async start(recorded: Tape): Promise<Player> {
    const player = new Player(moved(recorded, Date.now()));
    await player.#start();
    return player;
  }

  /** What to use as performance.now(). */
  readonly now = this.#clock.now;

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.cluster.close();
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  async #start(): Promise<void> {
    const hosted = new Store();
    this.port = await this.#listen(hostedServer(this.#infra, hosted, this.#tape.namespace));
    const infra = await this.#listen(http.createServer((request, response) => this.#askInfra(request, response)));
    this.cluster = connectInfra({ server: `http://127.0.0.1:${infra}` }, this.#tape.namespace);
    const { objects, hosted: addons, names } = await seeded(this.#tape, this.port);
    for (const object of addons) {
      const path = pathOf(resourceOf(object), object.metadata.namespace, object.metadata.name);
      hosted.put(decodeURIComponent(path), object, object);
    }
    for (const { object, applied } of objects) this.#infra.put(this.#path(object), object, applied);
    for (const [before, after] of names) this.#answers.names.set(before, after);
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

  async #play(): Promise<void> {
    const awaited = new Map<string, number>();
    for (const item of this.#tape.items) {
      if ('write' in item) {
        const times = (awaited.get(item.write) ?? 0) + 1;
        awaited.set(item.write, times);
        await this.#untilDone(item.write, times, item.at);
      }
      if (this.#isStopped) return;
      this.#clock.to(item.at);
      this.#happen(item);
      // Whoever watches learns of one thing after the other.
      await turn();
      await turn();
    }
    // Nothing comes any more but the end of k8sk8s's patience.
    for (let at = this.#tape.lasted; !this.#isStopped; at += 500) {
      await this.#clock.wait(at);
    }
  }

  async #untilDone(write: string, times: number, at: number): Promise<void> {
    const deadline = this.#clock.real + patience;
    while ((this.#answers.done.get(write) ?? 0) < times && !this.#isStopped) {
      await this.#clock.wait(at);
      if (this.#clock.real > deadline)
        throw new Error(`${write} was not done for the ${times}. time; the last requests: ${this.requests.slice(-12)}`);
    }
  }

  #happen(item: Item): void {
    if ('cut' in item) this.#watchers.cut(item.cut);
    if (!('event' in item)) return;
    const object = this.#answers.translated(item.object);
    const path = this.#path(object);
    if (item.event === 'DELETED') {
      this.#infra.remove(path);
      return;
    }
    const before = this.#infra.find<KubeObject>(path);
    this.#infra.put(path, item.event === 'MODIFIED' && before ? withParts(before, object) : whole(object, before));
  }

  async #askInfra(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const ask = await askOf(request);
    const { plural, name, sub } = placeOf(ask.path);
    const watches = ask.query.get('watch') === 'true';
    const key = `${watches ? 'WATCH' : ask.method} ${[plural, name, sub].filter(Boolean).join('/')}`;
    this.requests.push(ask.query.get('dryRun') ? `${key} dry` : key);
    if (watches) this.#watchers.add(ask, response);
    else if (sub === 'log') send(response, this.#answers.log(ask));
    else send(response, this.#answers.to(ask));
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

/** What is told as new may have been written by k8sk8s, with more in it than is on the tape. */
function whole(object: KubeObject, before: KubeObject | undefined): KubeObject {
  return before ? (merged(before, object) as KubeObject) : object;
}
