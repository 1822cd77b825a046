import { dump } from 'js-yaml';
import { isIpv4 } from '../base/cidr.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type Addresses, dnsAddresses, hostAndPort } from '../plane/addresses.ts';
import { driverOf, leftByDrivers } from '../plane/networks/table.ts';
import body from './worker.sh';
import join from './worker-join.sh';
import leave from './worker-leave.sh';

/** Where the files of a plane lie on a worker. */
export const workerFolder = '/etc/kubernetes/tls';

/** A release of github.com/containernetworking/plugins, for Flatcar, which has no package of them. */
const cniPlugins = '1.8.0';

/** The first lines of every worker.sh, by which one is told from somebody's own file of that name. */
const mark = '#!/bin/sh\n# worker.sh of k8sk8s:';

export function isWorkerScript(text: string): boolean {
  return text.startsWith(mark);
}

/**
 * The script that makes a machine a worker of this plane: what is the plane's stands at its beginning, and worker.sh
 * finds out what is the machine's; worker-join.sh has join, and worker-leave.sh leave. Nothing in it is secret. Pure.
 */
export function workerScript(spec: ClusterSpec, addresses: Addresses): string {
  const { links, files, rules } = leftByDrivers();
  const relay = spec.inCluster === 'loopback' ? relayUnit(spec, addresses) : '';
  return `${mark} makes a machine a worker of the plane ${spec.host}. sh worker.sh says how.

kubernetes_version=${spec.kubernetesVersion}
pod_cidr=${spec.podCidr}
service_cidr=${spec.serviceCidr}
dns_domain=${spec.dnsDomain}
peer_ports='${peerPorts(spec)}'
advertised=${isIpv4(addresses.advertised?.address ?? '') ? addresses.advertised.address : ''}
cni_plugins_version=${cniPlugins}
driver_links='${links.join(' ')}'
driver_files='${files.join(' ')}'
driver_rules='${rules.join('\\|')}'

${printing('kubelet_configuration', kubeletConfiguration(spec, { clientCAFile: `${workerFolder}/ca.pem` }))}
${printing('relay_unit', relay)}
${body}${driverOf(spec).worker}${join}${leave}`;
}

/** As `8472/udp`: what a firewall has to let through between workers. */
function peerPorts(spec: ClusterSpec): string {
  const ports = driverOf(spec)
    .reach(spec)
    .flatMap((each) => each.match(/^\d+\/(udp|tcp)/)?.[0] ?? []);
  return ports.join(' ');
}

/** A shell function that prints `text`. */
function printing(name: string, text: string): string {
  return `${name}() {\n  cat <<'END'\n${text}END\n}\n`;
}

/**
 * What is the same on every worker; the script adds what is the machine's. The oldest kubelet that a plane may have knows all fields.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
export function kubeletConfiguration(
  spec: ClusterSpec,
  { clientCAFile, ...more }: { clientCAFile: string; [field: string]: unknown },
): string {
  return dump({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile },
    },
    authorization: { mode: 'Webhook' },
    // One is enough: it knows the addresses of both families.
    clusterDNS: dnsAddresses(spec).slice(0, 1),
    clusterDomain: spec.dnsDomain,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    rotateCertificates: true,
    serverTLSBootstrap: true,
    ...(Object.keys(spec.featureGates).length > 0 && {
      featureGates: Object.fromEntries(
        Object.entries(spec.featureGates).map(([gate, value]) => [gate, value === 'true']),
      ),
    }),
    ...more,
  });
}

/**
 * The target of the relay. Pods dial an address, and an ingress needs a name to choose the backend, so the target is the node
 * port of the infra node to which HOST leads, or the tunnel's name; an address of --worker-endpoint is not an ingress and is used directly.
 */
export function relayTarget(spec: ClusterSpec, addresses: Addresses): string {
  if (spec.tunnelHost !== undefined) return `${spec.tunnelHost}:${spec.port ?? 443}`;
  const { host, port } = hostAndPort(addresses.workerServer);
  return `${host}:${spec.workerEndpoint ? port : addresses.nodePort}`;
}

/** Where the relay leads to, for socat: by the tunnel's name a hub takes it from there, once the machine has shown its node's certificate. */
function relayed(spec: ClusterSpec, addresses: Addresses): string {
  if (spec.tunnelHost === undefined) return `TCP:${relayTarget(spec, addresses)}`;
  const { tunnelHost: name } = spec;
  return `OPENSSL:${relayTarget(spec, addresses)},snihost=${name},commonname=${name},verify=1,cafile=${workerFolder}/ca.pem,cert=/var/lib/kubelet/pki/kubelet-client-current.pem`;
}

/** A middle box cuts what is silent for a minute, and a pod that was killed may say nothing of its end: each connection has a process. */
const keepAlive = 'keepalive,keepidle=30,keepintvl=10,keepcnt=3';

/** The API server advertises this address and its own port: the relay makes both lead to it. */
function relayUnit(spec: ClusterSpec, addresses: Addresses): string {
  const [address, port] = [spec.loopbackAddress, addresses.nodePort];
  return `[Unit]
Description=Relay to the Kubernetes API for pods on this worker
After=network-online.target
Wants=network-online.target
# Pods have no other way to the API: however often it has ended, it is started again.
StartLimitIntervalSec=0

[Service]
ExecStartPre=-/sbin/ip address add ${address}/32 dev lo
ExecStart=/usr/bin/socat TCP-LISTEN:${port},fork,reuseaddr,bind=${address},${keepAlive} ${relayed(spec, addresses)},${keepAlive}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
}
