import * as z from 'zod';
import { hostAndPort, hostName, opening, port } from '../values/hosts.ts';
import { networks } from '../values/networks.ts';
import { manifests } from '../values/objects.ts';
import { flag } from './flag.ts';

/** The hosted cluster's networks, and what its API server reaches. */
export const networkFields = {
  egress: z
    .enum(['kubelet', 'konnectivity', 'none'])
    .default('kubelet')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'egress',
        arg: 'HOW',
        help: "how the API server reaches pods (webhooks, aggregated APIs, service and pod proxy): kubelet (through the kubelets' port-forward), konnectivity (through agents on the workers) or none (only pods with hostNetwork)",
      }),
    ),
  konnectivityEndpoint: hostAndPort.optional().meta(
    flag({
      group: 'Hosted cluster',
      flag: 'konnectivity-endpoint',
      arg: 'HOST:PORT',
      help: 'where the agents of --egress konnectivity reach its server; default HOST and a node port',
    }),
  ),
  allowEgress: z
    .array(opening)
    .default([])
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'allow-egress',
        arg: 'TARGET',
        help: 'CIDR, HOST or HOST:PORT in a private network that the API server may call by URL: webhooks, CRD conversion, audit and tokens. What is on the Internet needs no option',
        list: true,
      }),
    ),
  // The API server takes no more than 2^20 addresses; of both families kube-dns has the tenth.
  serviceCidr: networks({ 4: [12, 28], 6: [108, 124] }, '10.3.0.0/16,fd00:3::/108')
    .default('10.3.0.0/16')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'service-cidr',
        arg: 'CIDR[,CIDR]',
        help: "the hosted cluster's service addresses; two networks, IPv4 and IPv6, make both families",
      }),
    ),
  // 2^16 workers at most: kube-controller-manager refuses a larger network for a /64 of each.
  podCidr: networks({ 4: [8, 24], 6: [48, 64] }, '10.2.0.0/16,fd00:2::/56')
    .default('10.2.0.0/16')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'pod-cidr',
        arg: 'CIDR[,CIDR]',
        help: "the hosted cluster's pod addresses, a /24 of it for each worker; with an IPv6 network after a comma also a /64 of that",
      }),
    ),
  dnsDomain: hostName
    .default('cluster.local')
    .meta(
      flag({ group: 'Hosted cluster', flag: 'dns-domain', arg: 'DOMAIN', help: "the hosted cluster's DNS domain" }),
    ),
  network: z
    .enum(['flannel', 'cilium', 'manifest', 'none'])
    .default('flannel')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'network',
        arg: 'DRIVER',
        help: 'flannel, cilium (which enforces network policies, and takes the place of kube-proxy), manifest (any other driver, with --network-manifest) or none',
      }),
    ),
  networkManifest: manifests.optional().meta(
    flag({
      group: 'Hosted cluster',
      flag: 'network-manifest',
      arg: 'FILE|DIR',
      help: 'manifests of any other network driver, which are applied as they are',
      file: 'manifests',
    }),
  ),
  flannelBackend: z
    .enum(['vxlan', 'host-gw'])
    .default('vxlan')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'flannel-backend',
        arg: 'BACKEND',
        help: 'vxlan, or host-gw: routes between workers that share a network segment, which is faster',
      }),
    ),
  flannelMtu: z.coerce
    .number()
    .int()
    .min(1280, 'has to be 1280 to 65535')
    .max(65535, 'has to be 1280 to 65535')
    .optional()
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'flannel-mtu',
        arg: 'BYTES',
        help: 'MTU of the network between the workers, where it carries less than their interfaces say; vxlan takes 50 bytes of it',
      }),
    ),
  flannelPort: port.optional().meta(
    flag({
      group: 'Hosted cluster',
      flag: 'flannel-port',
      arg: 'PORT',
      help: 'UDP port of vxlan; default 8472',
    }),
  ),
  flannelInterface: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}$/, 'is not the name of a network interface')
    .optional()
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'flannel-interface',
        arg: 'NAME',
        help: "the workers' interface for packets between pods; default: that of the Node's address",
      }),
    ),
  childAssets: z
    .boolean()
    .default(true)
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'no-child-assets',
        help: 'leave kube-proxy, the network driver and kube-dns out of the hosted cluster',
      }),
    ),
};
