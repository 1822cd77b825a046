import { isNotFound } from '../../kube/errors.ts';
import type { Event, Service } from '../../kube/objects.ts';
import { follow, type WatchEvent } from '../../kube/watch.ts';
import type { WholeCluster } from '../../kube/whole-cluster.ts';
import { Doors } from './doors.ts';
import { addAddress, addressesHere, dropAddress, writeRules } from './network.ts';
import { chooseAddress, hostnameOf, isBalanced, poolOf, wishOf } from './plan.ts';

const serviceKind = { apiVersion: 'v1', kind: 'Service' };

/** What a Service has been given. */
export interface Given {
  /** Of the Service. */
  uid: string;
  service: string;
  address: string;
  /** What the status shows instead of the address. */
  hostname?: string;
}

interface Surroundings {
  cluster: WholeCluster;
  /** `10.200.N` */
  network: string;
  /** What was given before; a name in a status does not tell its address. */
  remembered: Given[];
  /** Called whenever it changes. */
  remember(given: Given[]): void;
  say(line: string): void;
}

/** Gives addresses of the pool to Services of type LoadBalancer and takes them back, one Service at a time. */
export class LoadBalancer {
  readonly #around: Surroundings;
  readonly #pool: string[];
  readonly #doors = new Doors();
  readonly #given = new Map<string, Given>();
  /** Services as they were seen last, of those that it looks after. */
  readonly #seen = new Map<string, Service>();
  /** Since when each of them asks for an address, milliseconds. */
  readonly #since = new Map<string, number>();
  /** Why a Service has nothing, as it was said. */
  readonly #refusals = new Map<string, string>();
  #work = Promise.resolve();

  constructor(around: Surroundings) {
    this.#around = around;
    this.#pool = poolOf(around.network);
  }

  /** Until `signal` fires. What a controller that was killed has left is taken over, or taken away. */
  async run(signal: AbortSignal): Promise<void> {
    const { items } = await this.#around.cluster.list<Service>(serviceKind);
    for (const service of items) this.#takeOver(service);
    await this.#write();
    const kept = new Set([...this.#given.values()].map(({ address }) => address));
    for (const address of await addressesHere(this.#pool)) if (!kept.has(address)) await dropAddress(address);
    await follow<Service>(this.#around.cluster, serviceKind, {}, signal, (event) => this.#queue(event));
  }

  #takeOver(service: Service): void {
    const [shown] = service.status?.loadBalancer?.ingress ?? [];
    const uid = service.metadata.uid!;
    const address = shown?.ip ?? this.#around.remembered.find((each) => each.uid === uid)?.address;
    if (!isBalanced(service) || !shown || address === undefined || !this.#pool.includes(address)) return;
    this.#given.set(uid, givenTo(service, address, shown.hostname));
    this.#remember(uid, service);
  }

  #queue({ type, object }: WatchEvent<Service>): void {
    const uid = object.metadata.uid!;
    const asks = type !== 'DELETED' && isBalanced(object);
    if (!asks && !this.#seen.has(uid) && !this.#given.has(uid)) return;
    if (asks) this.#remember(uid, object);
    else for (const map of [this.#seen, this.#since, this.#refusals]) map.delete(uid);
    this.#work = this.#work.then(() => this.#settle(uid));
  }

  #remember(uid: string, service: Service): void {
    this.#seen.set(uid, service);
    if (!this.#since.has(uid)) this.#since.set(uid, Date.now());
  }

  async #settle(uid: string): Promise<void> {
    const service = this.#seen.get(uid);
    try {
      if (service) await this.#give(service);
      else await this.#takeBack(uid);
    } catch (error) {
      if (isNotFound(error)) return;
      this.#around.say(`${service ? nameOf(service) : uid}: ${(error as Error).message}; tried again`);
      this.#later(uid, 1000);
    }
  }

  #later(uid: string, milliseconds: number): void {
    setTimeout(() => {
      this.#work = this.#work.then(() => this.#settle(uid));
    }, milliseconds);
  }

  async #give(service: Service): Promise<void> {
    const uid = service.metadata.uid!;
    const wish = wishOf(service);
    const early = wish.after - (Date.now() - (this.#since.get(uid) ?? 0));
    if (early > 0 && !this.#given.has(uid)) return this.#later(uid, early);
    const had = this.#given.get(uid);
    const taken = new Set([...this.#given.values()].filter((each) => each.uid !== uid).map(({ address }) => address));
    const chosen = chooseAddress(wish, this.#pool, had?.address, taken);
    if ('why' in chosen) return this.#refuse(service, chosen.why);
    const hostname = wish.kind === 'name' ? hostnameOf(service) : undefined;
    const given = givenTo(service, chosen.address, hostname);
    this.#given.set(uid, given);
    this.#refusals.delete(uid);
    await addAddress(given.address);
    await this.#write();
    const ingress = [hostname === undefined ? { ip: given.address } : { hostname }];
    await this.#show(service, ingress);
    if (had && had.address !== given.address) await dropAddress(had.address);
    if (had?.address === given.address && had.hostname === hostname) return;
    const shown = hostname === undefined ? given.address : `${hostname}, at ${given.address}`;
    await this.#tell(service, 'Normal', 'EnsuredLoadBalancer', shown);
  }

  async #refuse(service: Service, why: string): Promise<void> {
    const uid = service.metadata.uid!;
    await this.#takeBack(uid);
    await this.#show(service, []);
    if (this.#refusals.get(uid) === why) return;
    this.#refusals.set(uid, why);
    await this.#tell(service, 'Warning', 'SyncLoadBalancerFailed', why);
  }

  async #takeBack(uid: string): Promise<void> {
    const had = this.#given.get(uid);
    if (!had) return;
    await dropAddress(had.address);
    this.#given.delete(uid);
    await this.#write();
    this.#around.say(`${had.service}: ${had.address} is free again`);
  }

  /** Rules and what is remembered follow from what is given. */
  async #write(): Promise<void> {
    const given = [...this.#given.values()];
    const named = given.flatMap(({ uid, address, hostname }) => {
      const service = hostname === undefined ? undefined : this.#seen.get(uid);
      return (service?.spec.ports ?? []).map(({ port }) => ({ address, port, ip: service!.spec.clusterIP! }));
    });
    const redirects = await Promise.all(
      named.map(async ({ address, port, ip }) => ({ address, port, to: await this.#doors.to(ip, port) })),
    );
    const addresses = given.map(({ address }) => address);
    await writeRules(addresses, redirects);
    this.#doors.keep(new Set(named.map(({ port, ip }) => `${ip}:${port}`)));
    this.#around.remember(given);
  }

  async #show(service: Service, ingress: { ip?: string; hostname?: string }[]): Promise<void> {
    const now = service.status?.loadBalancer?.ingress ?? [];
    const text = (some: typeof ingress) => JSON.stringify(some.map(({ ip, hostname }) => [ip, hostname]));
    if (text(now) === text(ingress)) return;
    await this.#around.cluster.mergeStatus({ ...service, ...serviceKind }, { loadBalancer: { ingress } });
  }

  /** As cloud-provider's service controller does: who waits for the address reads it with `kubectl describe service`. */
  async #tell(service: Service, type: string, reason: string, message: string): Promise<void> {
    this.#around.say(`${nameOf(service)}: ${reason}: ${message}`);
    await this.#around.cluster.create(eventOf(service, type, reason, message));
  }
}

function eventOf(service: Service, type: string, reason: string, message: string): Event {
  const { name, namespace, uid } = service.metadata;
  const now = new Date();
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${now.getTime().toString(16)}`, namespace },
    involvedObject: { ...serviceKind, name, namespace, uid },
    source: { component: 'sandbox-load-balancer' },
    type,
    reason,
    message,
    count: 1,
    lastTimestamp: now.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  return event;
}

function givenTo(service: Service, address: string, hostname: string | undefined): Given {
  return { uid: service.metadata.uid!, service: nameOf(service), address, ...(hostname !== undefined && { hostname }) };
}

function nameOf({ metadata }: Service): string {
  return `${metadata.namespace}/${metadata.name}`;
}
