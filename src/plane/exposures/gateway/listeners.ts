import { isIpv4 } from '../../../base/cidr.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { gatewayOf } from './gateway.ts';

/** A Gateway, as far as it is read. */
export interface Gateway {
  metadata: { namespace?: string };
  spec: { listeners?: Listener[] };
  status?: { listeners?: { name: string; supportedKinds?: { kind: string }[] }[] };
}

interface Listener {
  name: string;
  protocol: string;
  hostname?: string;
  tls?: { mode?: string };
  allowedRoutes?: { namespaces?: { from?: string }; kinds?: { kind: string }[] };
}

/**
 * Why a Gateway has no listener that takes a TLSRoute from a namespace for a name of the plane; undefined where each name has one, as far
 * as that can be told from here: which namespaces a selector means is the Gateway's to say. Pure.
 */
export function listenerProblem(
  gateway: Gateway,
  spec: Pick<ClusterSpec, 'gateway' | 'host' | 'moreHosts' | 'tunnelHost'>,
  namespace: string,
): string | undefined {
  const wanted = gatewayOf(spec).listener;
  const all = gateway.spec.listeners ?? [];
  const named = all.filter(({ name }) => wanted === undefined || name === wanted);
  if (named.length === 0) return wanted === undefined ? 'it has no listener' : `it has no listener ${wanted}`;
  const names = [spec.host, ...spec.moreHosts, ...(spec.tunnelHost === undefined ? [] : [spec.tunnelHost])];
  for (const host of names.filter((name) => !isIpv4(name))) {
    const problems = named.map((listener) => problemOf(listener, gateway, host, namespace));
    if (problems.includes(undefined)) continue;
    const told = named.map(({ name }, index) => `listener ${name} ${problems[index]}`).join('; ');
    return `no listener takes ${host}: ${told}`;
  }
  return undefined;
}

function problemOf(
  listener: Listener,
  { metadata, status }: Gateway,
  host: string,
  namespace: string,
): string | undefined {
  const { protocol, tls, hostname, allowedRoutes } = listener;
  if (protocol !== 'TLS') return `speaks ${protocol}, not TLS`;
  if (tls?.mode !== 'Passthrough') return `has mode ${tls?.mode ?? 'Terminate'}, not Passthrough`;
  if (hostname !== undefined && !covers(hostname, host)) return `is for ${hostname}`;
  const from = allowedRoutes?.namespaces?.from ?? 'Same';
  if (from === 'None' || (from === 'Same' && metadata.namespace !== namespace))
    return 'takes routes of its own namespace alone';
  const kinds = allowedRoutes?.kinds ?? [];
  if (kinds.length > 0 && !kinds.some(({ kind }) => kind === 'TLSRoute')) return 'takes no TLSRoutes';
  const supported = status?.listeners?.find(({ name }) => name === listener.name)?.supportedKinds;
  if (supported && !supported.some(({ kind }) => kind === 'TLSRoute'))
    return 'belongs to a controller that takes no TLSRoutes';
  return undefined;
}

/** Whether a listener's host name takes a name: `*.example.com` takes every name below. Pure. */
function covers(hostname: string, host: string): boolean {
  return hostname.startsWith('*.') ? host.endsWith(hostname.slice(1)) : hostname === host;
}
