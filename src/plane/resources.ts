import { canonicalQuantity } from '../base/quantity.ts';
import type { ClusterSpec } from '../config/schema.ts';

export interface Resources {
  requests: Record<string, string>;
  limits: Record<string, string>;
}

/** What a container was measured to need. */
export interface Measured extends Resources {
  /** Limits that it has even where nobody asked for limits: they protect the infra node from what its clients can make it do. */
  ceiling?: { memory: string };
}

/**
 * What a container asks for by --resources.
 *
 * @param name of its component, which can be asked something of its own for
 * @returns undefined where it asks for nothing
 */
export function resourcesOf(spec: ClusterSpec, name: string, measured: Measured): Partial<Resources> | undefined {
  const own = spec.resources.find((entry) => entry.startsWith(`${name}=`));
  if (!own) return presetResources(spec, measured);
  return { requests: amountsIn(own.slice(name.length + 1)) };
}

/** `cpu=2,memory=4Gi`: the same amount in other words replaces no pod. */
export function amountsIn(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('=') as [string, string]);
  return Object.fromEntries(pairs.map(([resource, amount]) => [resource, canonicalQuantity(amount)]));
}

/** The same of a container that nothing of its own can be asked for. */
export function presetResources(
  spec: ClusterSpec,
  { requests, limits, ceiling }: Measured,
): Partial<Resources> | undefined {
  const preset = spec.resources.findLast((entry) => !entry.includes('=')) ?? 'small';
  if (preset === 'none') return undefined;
  if (preset === 'limits') return { requests, limits };
  return ceiling ? { requests, limits: ceiling } : { requests };
}
