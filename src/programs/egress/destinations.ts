import { BlockList, isIPv4 } from 'node:net';
import { Refusal } from './refusal.ts';

/** Where an address leads: to a node, which is dialled, or to a pod, which is reached by port-forward. */
export type Destination = { kind: 'node'; address: string } | { kind: 'pod'; namespace: string; name: string };

/** Reads the hosted API; see Api. */
interface Lookup {
  get(path: string, accept?: string): Promise<unknown>;
}

interface NodeList {
  metadata: { continue?: string };
  items: { status?: { addresses?: { type: string; address: string }[] } }[];
}

interface PodList {
  items: { metadata: { namespace: string; name: string } }[];
}

/** Names alone: of a pod nothing else is needed, and nothing else is read. */
const namesOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** How long an answer about a pod is used again. An address that passes to another pod is wrong for that long at most. */
const podMilliseconds = 5000;
/** A node that is gone can be dialled for so long. */
const nodeMilliseconds = 60_000;
/** An address that no node had may be a new node's: not asked again sooner than this. */
const nodeRetryMilliseconds = 1000;
/** Nodes report their images, so that one can take 20 kB. */
const nodesAtOnce = 50;
/** Answers kept; the oldest goes first. */
const podsKept = 1000;

/** What may be reached: pods by their addresses inside the pod network, and the nodes. Everything else is refused. */
export class Destinations {
  readonly #api: Lookup;
  readonly #podCidr: string;
  readonly #podNetwork = new BlockList();
  readonly #never = new BlockList();
  readonly #now: () => number;
  #nodes: { at: number; found: Promise<Set<string>> } | undefined;
  readonly #pods = new Map<string, { at: number; found: Promise<Destination> }>();

  constructor(api: Lookup, podCidr: string, now: () => number = Date.now) {
    this.#api = api;
    this.#podCidr = podCidr;
    this.#now = now;
    const [network = '', prefix = ''] = podCidr.split('/');
    this.#podNetwork.addSubnet(network, Number(prefix));
    // What no node can be at, though a Node object may say so: this pod itself, link-local services of a cloud, many.
    for (const [first, length] of [
      ['0.0.0.0', 8],
      ['127.0.0.0', 8],
      ['169.254.0.0', 16],
      ['224.0.0.0', 3],
    ] as const)
      this.#never.addSubnet(first, length);
  }

  /** @throws Refusal */
  async find(address: string): Promise<Destination> {
    if (!isIPv4(address))
      throw new Refusal(403, `${address.slice(0, 100)} is no IPv4 address; names are not resolved here`);
    if (this.#never.check(address)) throw new Refusal(403, `${address} can be no node and no pod`);
    if (this.#podNetwork.check(address)) return this.#pod(address);
    if (await this.#isNode(address)) return { kind: 'node', address };
    throw new Refusal(403, `${address} is no node, and no pod address inside ${this.#podCidr}`);
  }

  /** Forgets what was found for a pod's address: it turned out to be gone. */
  forget(address: string): void {
    this.#pods.delete(address);
  }

  #pod(address: string): Promise<Destination> {
    const known = this.#pods.get(address);
    if (known && this.#now() - known.at < podMilliseconds) return known.found;
    this.#pods.delete(address);
    const found = this.#askPod(address);
    this.#pods.set(address, { at: this.#now(), found });
    if (this.#pods.size > podsKept) this.#pods.delete(this.#pods.keys().next().value!);
    // What was not found may be there the next time.
    found.catch(() => this.#pods.get(address)?.found === found && this.#pods.delete(address));
    return found;
  }

  async #askPod(address: string): Promise<Destination> {
    const selector = [
      `status.podIP=${address}`,
      'spec.hostNetwork=false',
      'status.phase!=Succeeded',
      'status.phase!=Failed',
    ].join(',');
    const { items } = (await this.#api.get(
      `/api/v1/pods?fieldSelector=${encodeURIComponent(selector)}`,
      namesOnly,
    )) as PodList;
    if (items.length === 0) throw new Refusal(404, `no pod has the address ${address}`);
    // Two are there for a moment when an address passes on, and which of them has it cannot be told.
    if (items.length > 1) throw new Refusal(503, `${items.length} pods have the address ${address}`);
    const { namespace, name } = items[0]!.metadata;
    return { kind: 'pod', namespace, name };
  }

  async #isNode(address: string): Promise<boolean> {
    const age = this.#nodes ? this.#now() - this.#nodes.at : Number.POSITIVE_INFINITY;
    if (age < nodeMilliseconds && (await this.#nodes!.found).has(address)) return true;
    if (age < nodeRetryMilliseconds) return false;
    const found = this.#askNodes();
    this.#nodes = { at: this.#now(), found };
    found.catch(() => {
      if (this.#nodes?.found === found) this.#nodes = undefined;
    });
    return (await found).has(address);
  }

  async #askNodes(): Promise<Set<string>> {
    const addresses = new Set<string>();
    let next: string | undefined = '';
    do {
      const list = (await this.#api.get(
        `/api/v1/nodes?limit=${nodesAtOnce}${next && `&continue=${encodeURIComponent(next)}`}`,
      )) as NodeList;
      for (const { status } of list.items)
        for (const { type, address } of status?.addresses ?? [])
          if (type === 'InternalIP' || type === 'ExternalIP') addresses.add(address);
      next = list.metadata.continue;
    } while (next);
    return addresses;
  }
}
