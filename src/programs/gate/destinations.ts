import { isIP } from 'node:net';
import { Networks } from '../connect-proxy/networks.ts';
import { Refusal } from '../connect-proxy/refusal.ts';

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
    spec?: { podCIDRs?: string[] };
    status?: {
      addresses?: { type: string; address: string }[];
      daemonEndpoints?: { kubeletEndpoint?: { Port?: number } };
    };
  }[];
}

interface PodName {
  namespace: string;
  name: string;
  deletionTimestamp?: string;
}

interface PodList {
  /** None are null. */
  items: { metadata: PodName; status?: { podIPs?: { ip: string }[] | null } }[] | null;
}

/** What the Nodes say. */
interface Nodes {
  claims: Map<string, Claimant[]>;
  /** The networks of their pods. */
  networks: { node: string; ofPods: Networks }[];
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

/** What no node can be at, though a Node object may say so: this pod itself, link-local services of a cloud, many, and IPv4 inside of IPv6. */
const nowhere = '0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/3 ::/8 64:ff9b::/96 fe80::/10 ff00::/8';

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
  readonly #podNetwork: Networks;
  readonly #never: Networks;
  readonly #now: () => number;
  #nodes: { at: number; found: Promise<Nodes> } | undefined;
  readonly #pods = new Map<string, { at: number; found: Promise<Destination> }>();

  /** @param podCidr one network or two, as `10.2.0.0/16,fd00:2::/56`, where pods are reached; none are when left out */
  constructor(api: Lookup, podCidr: string | undefined, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
    this.#podNetwork = new Networks(podCidr?.split(','));
    this.#never = new Networks(nowhere.split(' '));
  }

  /** @throws Refusal */
  async find(address: string, port: number): Promise<Destination> {
    if (isIP(address) === 0) throw new Refusal('refused', 'no address, and names are not resolved here');
    if (this.#never.have(address)) throw new Refusal('refused', 'no node and no pod can have this address');
    const nodes = (await this.#claimants(address)) ?? [];
    if (this.#podNetwork.have(address)) {
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
    const living = ['spec.hostNetwork=false', 'status.phase!=Succeeded', 'status.phase!=Failed'];
    const pods =
      isIP(address) === 4
        ? await this.#list([`status.podIP=${address}`, ...living])
        : await this.#askSecond(address, living);
    if (pods.length === 0) throw new Refusal('gone', 'no pod has this address');
    // Two are there for a moment when an address passes on, and which of them has it cannot be told.
    if (pods.length > 1) throw new Refusal('refused', `${pods.length} pods have this address`);
    const { namespace, name } = pods[0]!;
    return { kind: 'pod', namespace, name };
  }

  /** The API server selects pods by their first address alone, so all of one node are looked at for their second. */
  async #askSecond(address: string, living: string[]): Promise<PodName[]> {
    const networks = (await this.#nodes?.found)?.networks ?? [];
    const found: PodName[] = [];
    for (const { node } of networks.filter(({ ofPods }) => ofPods.have(address)).slice(0, nodesOfAddress)) {
      const { items } = (await this.#api.get(podsPath([`spec.nodeName=${node}`, ...living]))) as PodList;
      const those = items?.filter(({ status }) => status?.podIPs?.some(({ ip }) => ip === address)) ?? [];
      found.push(...those.map(({ metadata }) => metadata));
    }
    return found;
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

  async #list(selectors: string[]): Promise<PodName[]> {
    const { items } = (await this.#api.get(podsPath(selectors), namesOnly)) as PodList;
    return (items ?? []).map(({ metadata }) => metadata);
  }

  /** The nodes that say they have this address. */
  async #claimants(address: string): Promise<Claimant[] | undefined> {
    const age = this.#nodes ? this.#now() - this.#nodes.at : Number.POSITIVE_INFINITY;
    const known = age < nodeMilliseconds ? await this.#nodes!.found : undefined;
    // A pod's address is none of a node's, so that the list is not made anew for it, unless it is the list that leads to the pod.
    const ofPod = () =>
      this.#podNetwork.have(address) &&
      (isIP(address) === 4 || known!.networks.some(({ ofPods }) => ofPods.have(address)));
    if (known && (known.claims.has(address) || ofPod())) return known.claims.get(address);
    if (age < nodeRetryMilliseconds) return undefined;
    const found = this.#askNodes();
    this.#nodes = { at: this.#now(), found };
    found.catch(() => {
      if (this.#nodes?.found === found) this.#nodes = undefined;
    });
    return (await found).claims.get(address);
  }

  async #askNodes(): Promise<Nodes> {
    const claims = new Map<string, Claimant[]>();
    const networks: Nodes['networks'] = [];
    let next: string | undefined = '';
    do {
      const list = (await this.#api.get(
        `/api/v1/nodes?limit=${nodesAtOnce}${next && `&continue=${encodeURIComponent(next)}`}`,
      )) as NodeList;
      for (const { metadata, spec, status } of list.items) {
        networks.push({ node: metadata.name, ofPods: new Networks(spec?.podCIDRs) });
        for (const { type, address } of status?.addresses ?? [])
          if (type === 'InternalIP' || type === 'ExternalIP') {
            const port = status?.daemonEndpoints?.kubeletEndpoint?.Port || kubeletPort;
            claims.set(address, [...(claims.get(address) ?? []), { node: metadata.name, port }]);
          }
      }
      next = list.metadata.continue;
    } while (next);
    return { claims, networks };
  }
}

function podsPath(selectors: string[]): string {
  return `/api/v1/pods?fieldSelector=${encodeURIComponent(selectors.join(','))}`;
}
