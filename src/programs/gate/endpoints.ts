import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../connect-proxy/api.ts';

/*
 * The endpoints of the Service default/kubernetes: where pods of the hosted cluster reach an API server. The API server's own
 * reconciler ties them to a lease of its address, which a stopping API server gives up although another one serves at the same
 * address, so that the list is empty for up to 10 s. Here each API server has an entry with the time of its last sign of
 * life. An entry goes when it is old, or when its API server ends; the last one stays (docs/adr/0040-endpoints-by-the-gate.md).
 */

/** What an API server said of itself, and when, in seconds since 1970. */
interface Entry {
  address: string;
  renewed: number;
}

/** By the name of the API server's pod. */
export type Entries = Record<string, Entry>;

/** The API server beside which this runs. */
export interface OwnPod {
  pod: string;
  address: string;
  port: number;
}

/** Annotation of the EndpointSlice, with the entries as JSON. */
const annotation = 'k8sk8s.io/api-servers';
/** Seconds after which an API server says again that it serves. */
const renewAfter = 10;
/** Seconds after which an API server that says nothing is left out. */
const oldAfter = 35;
/** Milliseconds between two looks at the list: an API server of an earlier version may have emptied it. */
const lookEvery = 1000;

const name = 'kubernetes';
const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const endpoints = '/api/v1/namespaces/default/endpoints';

interface Found {
  metadata: { resourceVersion?: string; annotations?: Record<string, string> };
  /** Of an EndpointSlice. */
  endpoints?: { addresses: string[] }[] | null;
  /** Of Endpoints. */
  subsets?: { addresses?: { ip: string }[] }[] | null;
}

/**
 * The entries with this API server's own, and without those that are old. Pure.
 *
 * @param now seconds since 1970
 * @returns undefined where they are to stay as they are
 */
export function withPod(entries: Entries, { pod, address }: OwnPod, now: number): Entries | undefined {
  const own = entries[pod];
  const others = Object.entries(entries).filter(([each]) => each !== pod);
  const alive = others.filter(([, entry]) => isFresh(entry, now));
  if (own?.address === address && now - own.renewed < renewAfter && alive.length === others.length) return undefined;
  return { ...Object.fromEntries(alive), [pod]: { address, renewed: now } };
}

/**
 * The entries without this API server's, which ends. Pure.
 *
 * @returns undefined where it is the only one: an address to which a successor comes back is better than none
 */
export function withoutPod(entries: Entries, { pod }: OwnPod, now: number): Entries | undefined {
  const others = Object.entries(entries).filter(([each, entry]) => each !== pod && isFresh(entry, now));
  return entries[pod] && others.length > 0 ? Object.fromEntries(others) : undefined;
}

/** Everybody who may write EndpointSlices can set the time, so the future is as old as the past. */
function isFresh({ renewed }: Entry, now: number): boolean {
  return Math.abs(now - renewed) <= oldAfter;
}

/** Says that this API server serves, again and again, until `signal` fires; then it takes its entry back. */
export async function keepEndpoints(
  api: Api,
  self: OwnPod,
  signal: AbortSignal,
  say: (words: string) => void,
): Promise<void> {
  let trouble = '';
  const known = { agree: false };
  const write = async (change: typeof withPod) => {
    try {
      await writeEndpoints(api, self, change, known);
      trouble = '';
    } catch (error) {
      // The rights come with the addons; a conflict is another API server's write, and the next look sees it.
      const words = (error as Error).message;
      if (words !== trouble) say(words);
      trouble = words;
    }
  };
  while (!signal.aborted) {
    await write(withPod);
    await sleep(lookEvery, undefined, { signal }).catch(() => undefined);
  }
  await write(withoutPod);
}

/** @param known `agree`: Endpoints, for those who still read them, said the same as the EndpointSlice when both were last looked at */
async function writeEndpoints(
  api: Api,
  self: OwnPod,
  change: typeof withPod,
  known: { agree: boolean },
): Promise<void> {
  const slice = (await api.find(`${slices}/${name}`)) as Found | undefined;
  const before = entriesOf(slice, self);
  const entries = change(before, self, Math.floor(Date.now() / 1000)) ?? before;
  const addresses = addressesIn(entries);
  const shown = (slice?.endpoints ?? []).flatMap((each) => each.addresses);
  const isRight = entries === before && shown.join() === addresses.join();
  if (addresses.length === 0 || (isRight && known.agree)) return;
  known.agree = false;
  if (!isRight) await put(api, slices, slice, sliceOf(entries, self));
  // The write that came after the EndpointSlice's may have failed, here or in a process that has ended since.
  const old = (await api.find(`${endpoints}/${name}`)) as Found | undefined;
  const told = (old?.subsets ?? []).flatMap((subset) => (subset.addresses ?? []).map(({ ip }) => ip)).sort();
  if (told.join() !== addresses.join()) await put(api, endpoints, old, endpointsOf(entries, self));
  known.agree = true;
}

function put(api: Api, path: string, before: Found | undefined, object: Sent): Promise<void> {
  if (!before) return api.write('POST', path, object);
  const metadata = { ...object.metadata, resourceVersion: before.metadata.resourceVersion };
  return api.write('PUT', `${path}/${name}`, { ...object, metadata });
}

/** Whoever administers the hosted cluster can write anything there. */
function entriesOf(slice: Found | undefined, { address }: OwnPod): Entries {
  try {
    const written = JSON.parse(slice?.metadata.annotations?.[annotation] ?? '{}') as Record<string, Partial<Entry>>;
    const sound = Object.entries(written).filter(
      (each): each is [string, Entry] =>
        isIP(each[1]?.address ?? '') === isIP(address) && typeof each[1]?.renewed === 'number',
    );
    return Object.fromEntries(sound);
  } catch {
    return {};
  }
}

/** Each once, in an order that does not change. */
function addressesIn(entries: Entries): string[] {
  return [...new Set(Object.values(entries).map(({ address }) => address))].sort();
}

interface Sent {
  metadata: object;
  [field: string]: unknown;
}

/** As the API server's own reconciler writes them (k8s.io/kubernetes, pkg/controlplane/reconcilers). */
function sliceOf(entries: Entries, { address, port }: OwnPod): Sent {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
      annotations: { [annotation]: JSON.stringify(entries) },
    },
    addressType: isIP(address) === 6 ? 'IPv6' : 'IPv4',
    endpoints: addressesIn(entries).map((each) => ({ addresses: [each], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
}

function endpointsOf(entries: Entries, { port }: OwnPod): Sent {
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    // Mirrored, they would come back as a second slice.
    metadata: { name, namespace: 'default', labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets: [
      {
        addresses: addressesIn(entries).map((ip) => ({ ip })),
        ports: [{ name: 'https', port, protocol: 'TCP' }],
      },
    ],
  };
}
