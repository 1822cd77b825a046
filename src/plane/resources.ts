import type { ClusterSpec } from '../config/schema.ts';

export interface Resources {
  requests: Record<string, string>;
  limits: Record<string, string>;
}

/**
 * What a container asks for by --resources.
 *
 * @param name of its component, which can be asked something of its own for
 * @param measured what it was measured to need
 * @returns undefined where it asks for nothing
 */
export function resourcesOf(spec: ClusterSpec, name: string, measured: Resources): Partial<Resources> | undefined {
  const own = spec.resources.find((entry) => entry.startsWith(`${name}=`));
  if (!own) return presetResources(spec, measured);
  const requests = own
    .slice(name.length + 1)
    .split(',')
    .map((pair) => pair.split('=') as [string, string]);
  return { requests: Object.fromEntries(requests) };
}

/** The same of a container that nothing of its own can be asked for. */
export function presetResources(spec: ClusterSpec, { requests, limits }: Resources): Partial<Resources> | undefined {
  const preset = spec.resources.findLast((entry) => !entry.includes('=')) ?? 'small';
  if (preset === 'none') return undefined;
  return preset === 'limits' ? { requests, limits } : { requests };
}
