import { BlockList, isIPv4 } from 'node:net';
import { Refusal } from './refusal.ts';

/**
 * Where an address and port lead: to a kubelet, which has yet to show that it is one, or to a pod, which is reached by
 * port-forward. Of a node's other ports, that is a pod which shares the node's network.
 */
export type Destination = { kind: 'kubelet' } | { kind: 'pod'; namespace: string; name: string };

/** Reads the hosted API; see Api. */
interface Lookup {
  get(path: string, accept?: string): Promise<unknown>;
}

interface NodeList {
  metadata: { continue?: string };
  items: {
    metadata: { name: string };
    status?: {
      addresses?: { type: string; address: string }[];
      daemonEndpoints?: { kubeletEndpoint?: { Port?: number } };
    };
  }[];
}

interface PodList {
  /** None are null. */
  items: { metadata: { namespace: string; name: string; deletionTimestamp?: string } }[] | null;
}

/** What says that it has an address. */
interface Claimant {
  node: string;
  /** Where its kubelet listens. */
  port: number;
}

/** Where the API server looks for a kubelet whose Node does not say. */
const kubeletPort = 10250;
/** Nodes of one address whose pods are looked at: there is one, unless somebody plays. */
const nodesOfAddress = 3;

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

/**
 * What of the hosted cluster may be reached, by what its API says: pods by their addresses inside the pod network, and the nodes.
 * Everything else is refused.
 */
export class Destinations {
  readonly #api: Lookup;
  readonly #podNetwork = new BlockList();
  readonly #never = new BlockList();
  readonly #now: () => number;
  #nodes: { at: number; found: Promise<Map<string, Claimant[]>> } | undefined;
  readonly #pods = new Map<string, { at: number; found: Promise<Destination> }>();

  /** @param podCidr where pods are reached; none are when left out */
  constructor(api: Lookup, podCidr: string | undefined, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
    const [network = '', prefix = ''] = podCidr?.split('/') ?? [];
    if (network !== '') this.#podNetwork.addSubnet(network, Number(prefix));
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
  async find(address: string, port: number): Promise<Destination> {
    if (!isIPv4(address)) throw new Refusal('refused', 'no IPv4 address, and names are not resolved here');
    if (this.#never.check(address)) throw new Refusal('refused', 'no node and no pod can have this address');
    const nodes = (await this.#claimants(address)) ?? [];
    if (this.#podNetwork.check(address)) {
      // Its kubelet would be looked for in a pod, by way of a kubelet, and so on.
      if (nodes.length > 0) throw new Refusal('refused', `node ${nodes[0]!.node} claims an address of the pod network`);
      return this.#once(address, () => this.#askPod(address));
    }
    if (nodes.length === 0) throw new Refusal('refused', 'no node has this address, and it is none of a pod');
    if (nodes.some((node) => node.port === port)) return { kind: 'kubelet' };
    return this.#once(address, () => this.#askNeighbour(nodes));
  }

  /** Forgets what was found for an address: it turned out to be gone. */
  forget(address: string): void {
    this.#pods.delete(address);
  }

  #once(address: string, ask: () => Promise<Destination>): Promise<Destination> {
    const known = this.#pods.get(address);
    if (known && this.#now() - known.at < podMilliseconds) return known.found;
    this.#pods.delete(address);
    const found = ask();
    this.#pods.set(address, { at: this.#now(), found });
    if (this.#pods.size > podsKept) this.#pods.delete(this.#pods.keys().next().value!);
    // What was not found may be there the next time.
    found.catch(() => this.#pods.get(address)?.found === found && this.#pods.delete(address));
    return found;
  }

  async #askPod(address: string): Promise<Destination> {
    const pods = await this.#list([
      `status.podIP=${address}`,
      'spec.hostNetwork=false',
      'status.phase!=Succeeded',
      'status.phase!=Failed',
    ]);
    if (pods.length === 0) throw new Refusal('gone', 'no pod has this address');
    // Two are there for a moment when an address passes on, and which of them has it cannot be told.
    if (pods.length > 1) throw new Refusal('refused', `${pods.length} pods have this address`);
    const { namespace, name } = pods[0]!;
    return { kind: 'pod', namespace, name };
  }

  /** A pod in the node's own network, which any of them reaches as well as the node itself. */
  async #askNeighbour(nodes: Claimant[]): Promise<Destination> {
    for (const { node } of nodes.slice(0, nodesOfAddress)) {
      const pods = await this.#list([`spec.nodeName=${node}`, 'spec.hostNetwork=true', 'status.phase=Running']);
      const pod = pods.find(({ deletionTimestamp }) => deletionTimestamp === undefined);
      if (pod) return { kind: 'pod', namespace: pod.namespace, name: pod.name };
    }
    throw new Refusal('gone', `node ${nodes[0]!.node} has no pod with hostNetwork, by which its ports are reached`);
  }

  async #list(selectors: string[]): Promise<NonNullable<PodList['items']>[number]['metadata'][]> {
    const { items } = (await this.#api.get(
      `/api/v1/pods?fieldSelector=${encodeURIComponent(selectors.join(','))}`,
      namesOnly,
    )) as PodList;
    return (items ?? []).map(({ metadata }) => metadata);
  }

  /** The nodes that say they have this address. */
  async #claimants(address: string): Promise<Claimant[] | undefined> {
    const age = this.#nodes ? this.#now() - this.#nodes.at : Number.POSITIVE_INFINITY;
    const known = age < nodeMilliseconds ? await this.#nodes!.found : undefined;
    // A pod's address is none of a node's, so that the list is not made anew for it.
    if (known && (known.has(address) || this.#podNetwork.check(address))) return known.get(address);
    if (age < nodeRetryMilliseconds) return undefined;
    const found = this.#askNodes();
    this.#nodes = { at: this.#now(), found };
    found.catch(() => {
      if (this.#nodes?.found === found) this.#nodes = undefined;
    });
    return (await found).get(address);
  }

  async #askNodes(): Promise<Map<string, Claimant[]>> {
    const claims = new Map<string, Claimant[]>();
    let next: string | undefined = '';
    do {
      const list = (await this.#api.get(
        `/api/v1/nodes?limit=${nodesAtOnce}${next && `&continue=${encodeURIComponent(next)}`}`,
      )) as NodeList;
      for (const { metadata, status } of list.items)
        for (const { type, address } of status?.addresses ?? [])
          if (type === 'InternalIP' || type === 'ExternalIP') {
            const port = status?.daemonEndpoints?.kubeletEndpoint?.Port || kubeletPort;
            claims.set(address, [...(claims.get(address) ?? []), { node: metadata.name, port }]);
          }
      next = list.metadata.continue;
    } while (next);
    return claims;
  }
}
