import { networksIn, nthAddress } from '../base/cidr.ts';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { Service } from '../kube/objects.ts';

/** Where a plane is found. All of it goes into certificates and flags, so it has to be known first. */
export interface Addresses {
  /** The API server's service in the infra cluster: what controller-manager and scheduler dial. */
  apiserverServiceIp: string;
  /** Member by member; more than the spec has members while their number goes down. */
  etcdServiceIps: string[];
  /** The API server's own port, and unless the spec wants no node ports, the service's node port too. */
  nodePort: number;
  /** What the API server listens on and publishes as endpoint of the hosted default/kubernetes, for pods on the workers. */
  advertised: { address: string; port: number };
  /** `https://HOST:PORT` for people. */
  publicServer: string;
  /** `https://HOST:PORT` for kubelets, kube-proxy and the network driver. */
  workerServer: string;
  /** Where agents on the workers reach the konnectivity server, with --egress konnectivity alone. */
  konnectivity?: { host: string; port: number };
  /** HOST leads to the API server from inside of the infra cluster alone: from elsewhere its API's port-forward does. */
  insideOnly: boolean;
  /** Names at which the plane answers beside HOST, because it had them before. */
  earlierHosts: string[];
  /** Service-account issuers, the current one first; an earlier host's stays, so that its tokens go on working. */
  issuers: string[];
}

/** The API server's own port where it need not be the node port's number, as a load balancer and a cluster IP show it. */
export const loadBalancerPort = 6443;

/** Of the konnectivity server, for its agents: the number that upstream uses. */
export const konnectivityPort = 8132;

/** Of the hub of the tunnels, in the API server's pod and in its Service. */
export const tunnelPort = { name: 'tunnel', port: 8131 };

/** What the API server's Service has besides while its node port changes. */
export const earlierPort = { name: 'earlier', port: 6442 };

/** Stands for the address of a load balancer that has not given one yet. */
export const loadBalancerPlaceholder = 'LOAD_BALANCER_IP';

/** Name of the API server's service. */
export const apiserverService = 'apiserver';
/** Name of what leads to that service: an Ingress, say. */
export const exposingName = 'k8s-on-k8s';

/** Name of what leads to the hub of the tunnels, where one such object has one target. */
export const tunnelName = `${exposingName}-tunnel`;

/** Name of the service that is a member's address, as long as it is one. */
export function memberService(member: number): string {
  return `etcd${member}`;
}

/**
 * Reads the addresses off the services that the infra cluster answered with.
 *
 * @param earlier what the record knows: issuers that live tokens may still carry, and names that clients may still dial
 * @throws UserError `plane-incomplete`
 */
export function addressesOf(
  spec: ClusterSpec,
  services: Service[],
  { issuers = [], earlierHosts = [] }: { issuers?: string[]; earlierHosts?: string[] } = {},
): Addresses {
  const find = (name: string) => services.find((service) => service.metadata.name === name);
  const apiserver = find(apiserverService);
  const apiserverServiceIp = clusterIpOf(apiserver);
  // Without node ports the API server listens on a port that is the same for all planes.
  const nodePort = spec.allocateNodePorts ? apiserver?.spec.ports?.[0]?.nodePort : loadBalancerPort;
  const etcd: string[] = [];
  for (let address = clusterIpOf(find(memberService(0))); address; ) {
    etcd.push(address);
    address = clusterIpOf(find(memberService(etcd.length)));
  }
  if (!apiserver || !apiserverServiceIp || !nodePort || etcd.length < 1) throw withoutAddress();
  const publicServer = serverUrl(spec.host, spec.expose === 'nodeport' ? nodePort : (spec.port ?? 443));
  return {
    apiserverServiceIp,
    etcdServiceIps: etcd,
    nodePort,
    advertised: advertisedOf(spec, apiserver, nodePort),
    publicServer,
    // Whoever is in the infra cluster and asks another DNS knows the service's address at least.
    workerServer:
      spec.workerEndpoint ??
      (spec.expose === 'cluster' || spec.inCluster === 'clusterip'
        ? serverUrl(apiserverServiceIp, spec.expose === 'cluster' ? (spec.port ?? 443) : 443)
        : publicServer),
    insideOnly: spec.expose === 'cluster',
    konnectivity: konnectivityOf(spec, apiserver, hostAndPort(publicServer).host),
    earlierHosts: earlierHosts.filter((host) => host !== spec.host),
    issuers: [...new Set([issuerOf(publicServer), ...issuers])],
  };
}

/** A name is none: a headless Service has `None`, which whoever may write it can have in place of an address. */
function clusterIpOf(service: Service | undefined): string | undefined {
  const clusterIP = service?.spec.clusterIP;
  return clusterIP === 'None' ? undefined : clusterIP;
}

function withoutAddress(): UserError {
  return new UserError({
    what: `the Services ${apiserverService} and ${memberService(0)} of the plane have no cluster IP, or no node port`,
    why: 'somebody has changed them',
    fix: words`delete these Services, and run ${command('deploy')} again with the same ${option('namespace')}, which makes them anew`,
    anchor: 'plane-incomplete',
  });
}

/** What `addressesOf` would read off services that are not there yet, if they were given these. Pure. */
export function addressesAsIf(
  spec: ClusterSpec,
  given: { apiserver: string; etcd: (member: number) => string; nodePort: number },
): Addresses {
  const service = (name: string, clusterIP: string): Service => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      clusterIP,
      ports: [
        { port: 443, nodePort: spec.nodePort ?? given.nodePort },
        { name: 'konnectivity', port: konnectivityPort, nodePort: konnectivityPort },
      ],
    },
  });
  return addressesOf(spec, [
    service(apiserverService, given.apiserver),
    ...Array.from({ length: spec.etcdMembers }, (_, member) => service(memberService(member), given.etcd(member))),
  ]);
}

function konnectivityOf(spec: ClusterSpec, apiserver: Service, host: string): Addresses['konnectivity'] {
  const port = apiserver.spec.ports?.find(({ name }) => name === 'konnectivity');
  if (spec.egress !== 'konnectivity' || port === undefined) return undefined;
  if (spec.konnectivityEndpoint !== undefined) return hostAndPort(`https://${spec.konnectivityEndpoint}`);
  if (spec.inCluster === 'clusterip') return { host: apiserver.spec.clusterIP!, port: konnectivityPort };
  return spec.inCluster === 'loadbalancer'
    ? { host: loadBalancerIp(apiserver) ?? loadBalancerPlaceholder, port: konnectivityPort }
    : port.nodePort === undefined
      ? undefined
      : { host, port: port.nodePort };
}

function advertisedOf(spec: ClusterSpec, apiserver: Service, nodePort: number): Addresses['advertised'] {
  // The downward API fills in where the pod runs.
  if (spec.inCluster === 'node') return { address: '$(HOST_IP)', port: nodePort };
  if (spec.inCluster === 'loopback') return { address: spec.loopbackAddress, port: nodePort };
  if (spec.inCluster === 'clusterip') return { address: apiserver.spec.clusterIP!, port: loadBalancerPort };
  return { address: loadBalancerIp(apiserver) ?? loadBalancerPlaceholder, port: loadBalancerPort };
}

/** The address that the infra cluster's load balancer gave the service; undefined before that, or where it gives a name. */
export function loadBalancerIp(apiserver: Service): string | undefined {
  return apiserver.status?.loadBalancer?.ingress?.find(({ ip }) => ip !== undefined)?.ip;
}

function serverUrl(host: string, port: number): string {
  return `https://${host}:${port}`;
}

/** The issuer leaves a standard port out, as https URLs do. */
function issuerOf(server: string): string {
  return server.replace(/:443$/, '');
}

/** Of `https://HOST:PORT`, as it is written: a URL's own parts are in lower case, and placeholders of exported manifests are not. */
export function hostAndPort(server: string): { host: string; port: number } {
  const [, host, port = '443'] = /^https:\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(server)!;
  return { host: host!, port: Number(port) };
}

/** Where kube-dns answers, of each family: the tenth address of each network of services. */
export function dnsAddresses({ serviceCidr }: ClusterSpec): [first: string, ...second: string[]] {
  const [first, ...second] = networksIn(serviceCidr).map((network) => nthAddress(network!, 10));
  return [first!, ...second];
}
