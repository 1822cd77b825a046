import * as z from 'zod';
import { exposureNames, maximumHosts } from '../exposure.ts';
import { hostName, hostNameOrAddress, ipv4Address, nodePort, port } from '../values/hosts.ts';
import { gatewayName, metadata } from '../values/objects.ts';
import { httpsUrl } from '../values/urls.ts';
import { flag } from './flag.ts';

/** How workers, people and pods reach the API server. */
export const addressFields = {
  host: hostName.meta(
    flag({
      group: 'Address',
      flag: 'host',
      short: 'h',
      arg: 'HOST',
      help: 'name (or, with --expose nodeport or loadbalancer, IPv4 address) at which workers and kubectl reach the API server; given again: one more name',
    }),
  ),
  moreHosts: z
    .array(hostName)
    .max(maximumHosts - 1, `has more than ${maximumHosts - 1} names`)
    .default([])
    .meta(
      flag({
        group: 'Address',
        flag: 'more-host',
        arg: 'NAME',
        help: 'one more name at which the plane answers beside HOST: in its certificate, its kubeconfigs and what exposes it',
        list: true,
      }),
    ),
  tunnelHost: hostName.optional().meta(
    flag({
      group: 'Address',
      flag: 'tunnel-host',
      arg: 'NAME',
      help: 'a second name that leads to the plane as HOST does, for workers that nobody can dial: they dial it, and logs, exec and all else that the API server opens go through their tunnel',
    }),
  ),
  port: port.optional().meta(
    flag({
      group: 'Address',
      flag: 'port',
      short: 'p',
      arg: 'PORT',
      help: 'port at HOST; default 443, with --expose nodeport the node port',
    }),
  ),
  expose: z
    .enum(exposureNames)
    .default('ingress')
    .meta(
      flag({
        group: 'Address',
        flag: 'expose',
        arg: 'HOW',
        help: 'ingress, gateway (TLSRoute), traefik (IngressRouteTCP) or route (OpenShift), which pass TLS through by host name; loadbalancer, nodeport, or cluster: the service alone, which k8sk8s connect leads to',
      }),
    ),
  gateway: gatewayName.optional().meta(
    flag({
      group: 'Address',
      flag: 'gateway',
      arg: 'NAMESPACE/NAME[/LISTENER]',
      help: 'the Gateway that --expose gateway attaches its TLSRoute to',
    }),
  ),
  ingressClass: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'ingress-class',
        arg: 'NAME',
        help: "IngressClass to use instead of the infra cluster's default; with --expose traefik the class of the Traefik that is to take it",
      }),
    ),
  ingressAnnotations: z
    .record(z.string(), z.string())
    .default({})
    .meta(
      flag({
        group: 'Address',
        flag: 'ingress-annotation',
        arg: 'KEY=VALUE',
        help: 'annotation for the ingress, or for what --expose makes in its place, for example the one that switches TLS passthrough on',
        map: true,
      }),
    ),
  nodePort: nodePort.optional().meta(
    flag({
      group: 'Address',
      flag: 'node-port',
      arg: 'PORT',
      help: 'number of the node port; by default the infra cluster allocates one',
    }),
  ),
  allocateNodePorts: z
    .boolean()
    .default(true)
    .meta(
      flag({
        group: 'Address',
        flag: 'no-allocate-node-ports',
        help: 'take no node port, where the namespace may have none; needs --in-cluster loadbalancer or clusterip, or loopback with --worker-endpoint',
      }),
    ),
  ipFamilies: z
    .enum(['IPv4'])
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'ip-families',
        arg: 'IPv4',
        help: "ask for IPv4 addresses for the plane's services, where the infra cluster gives IPv6 ones first",
      }),
    ),
  workerEndpoint: httpsUrl.optional().meta(
    flag({
      group: 'Address',
      flag: 'worker-endpoint',
      arg: 'URL',
      help: 'where workers reach the API server; default https://HOST:PORT',
    }),
  ),
  inCluster: z
    .enum(['node', 'loadbalancer', 'loopback', 'clusterip'])
    .default('node')
    .meta(
      flag({
        group: 'Address',
        flag: 'in-cluster',
        arg: 'HOW',
        help: "how pods on the workers reach the API at the first service address: node (an infra node's address and the node port), loadbalancer (the address of a LoadBalancer service), loopback (an address and a relay on each worker) or clusterip (the service's own address, for workers that are pods of the infra cluster; they join by it too)",
      }),
    ),
  serviceAnnotations: metadata(z.string())
    .default({})
    .meta(
      flag({
        group: 'Address',
        flag: 'service-annotation',
        arg: 'KEY=VALUE',
        help: "annotation for the API server's Service, for example one that a load balancer reads",
        map: true,
      }),
    ),
  loadBalancerClass: z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/, 'is not the name of a class')
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'load-balancer-class',
        arg: 'NAME',
        help: "class of the LoadBalancer service with --expose or --in-cluster loadbalancer instead of the infra cluster's default",
      }),
    ),
  loopbackAddress: ipv4Address.default('10.199.199.199').meta(
    flag({
      group: 'Address',
      flag: 'loopback-address',
      arg: 'IP',
      help: "the relay's address with --in-cluster loopback",
    }),
  ),
  sans: z
    .array(hostNameOrAddress)
    .default([])
    .meta(
      flag({
        group: 'Address',
        flag: 'san',
        arg: 'NAME',
        help: 'one more name or address for the API server certificate',
        list: true,
      }),
    ),
};
