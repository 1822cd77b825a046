import { isIpv4 } from '../base/cidr.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { podSelector } from './names.ts';

/** A rule of a NetworkPolicy's `egress`: without `to` it means every destination, nodes of the infra cluster among them. */
export interface EgressRule {
  to?: ({ podSelector: object } | { ipBlock: { cidr: string; except?: string[] } })[];
  ports?: { protocol?: 'TCP' | 'UDP'; port: number }[];
}

/** To a DNS server, wherever it is: on a node, in the cluster, outside. */
export const toDns: EgressRule = {
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

/** To the pods of a component of the same plane. @param ports all when left out */
export function toComponent(planeId: string, component: string, ports?: number[]): EgressRule {
  return {
    to: [{ podSelector: { matchLabels: podSelector(planeId, component) } }],
    ...(ports && { ports: ports.map((port) => ({ port })) }),
  };
}

/** To kubelets at their usual port: workers may be at any address, and the gate has them show their certificates. */
export const toKubelets: EgressRule = { ports: [{ port: 10250 }] };

const privateIpv4 =
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4 240.0.0.0/4';
const privateIpv6 = '::/127 fc00::/7 fe80::/10 ff00::/8';

/** To what is neither private nor a machine's own; to networks that --allow-egress opens as well. */
export function toOutside({ allowEgress }: ClusterSpec): EgressRule[] {
  return [
    {
      to: [
        { ipBlock: { cidr: '0.0.0.0/0', except: privateIpv4.split(' ') } },
        { ipBlock: { cidr: '::/0', except: privateIpv6.split(' ') } },
      ],
    },
    ...allowEgress.map(toOpening),
  ];
}

/** CIDR, IP or IP:PORT. */
function toOpening(target: string): EgressRule {
  const [, address = target, port] = /^([^:/]*):(\d+)$/.exec(target) ?? [];
  return {
    to: [{ ipBlock: { cidr: isIpv4(address) ? `${address}/32` : address } }],
    ...(port !== undefined && { ports: [{ port: Number(port) }] }),
  };
}
