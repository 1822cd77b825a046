import type { Service } from '../../kube/objects.ts';

/*
 * What the sandbox's load balancer gives to a Service. A Service may ask for what load balancers elsewhere do, by an annotation. Pure.
 */

/** The loadBalancerClass that it takes, beside none at all; of every other one it is not the controller. */
export const ownClass = 'sandbox/load-balancer';

/** Annotation of a Service: `none`, `name`, `late=SECONDS` or one address of the pool. */
export const wishAnnotation = 'sandbox/load-balancer';

/** Machines have addresses below these. */
const [first, last] = [200, 250];

/** @param network `10.200.N` */
export function poolOf(network: string): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${network}.${first + index}`);
}

export interface Wish {
  /** `name`: the status has a name instead of the address that there is. */
  kind: 'address' | 'name' | 'none';
  /** This one, and no other. */
  address?: string;
  /** Milliseconds for which it gets nothing after it has asked. */
  after: number;
}

export function isBalanced({ spec }: Service): boolean {
  return spec.type === 'LoadBalancer' && [undefined, ownClass].includes(spec.loadBalancerClass);
}

export function wishOf({ metadata }: Service): Wish {
  const text = metadata.annotations?.[wishAnnotation] ?? '';
  const late = /^late=(\d+)$/.exec(text)?.[1];
  if (late !== undefined) return { kind: 'address', after: Number(late) * 1000 };
  if (text === 'none' || text === 'name') return { kind: text, after: 0 };
  return { kind: 'address', after: 0, ...(text !== '' && { address: text }) };
}

/** By namespace and name, so that it is the same after a restart. */
export function hostnameOf({ metadata }: Service): string {
  return `${metadata.name}.${metadata.namespace}.balanced.test`;
}

/**
 * The address that a Service gets.
 *
 * @param had its address until now
 * @param taken those of other Services
 * @returns why it gets none where it gets none
 */
export function chooseAddress(
  wish: Wish,
  pool: string[],
  had: string | undefined,
  taken: ReadonlySet<string>,
): { address: string } | { why: string } {
  if (wish.kind === 'none') return { why: 'the pool of addresses has none left for it' };
  if (wish.address !== undefined) {
    if (!pool.includes(wish.address)) return { why: `${wish.address} is not in the pool ${pool[0]} to ${pool.at(-1)}` };
    return taken.has(wish.address) ? { why: `${wish.address} belongs to another service` } : { address: wish.address };
  }
  const address = [had, ...pool].find((each) => each !== undefined && pool.includes(each) && !taken.has(each));
  return address === undefined ? { why: `all ${pool.length} addresses of the pool are taken` } : { address };
}
