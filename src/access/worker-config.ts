import { dump } from 'js-yaml';
import { command, option, type Words, words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type Addresses, dnsAddress, hostAndPort } from '../plane/addresses.ts';
import { inTerminal } from '../ui/words.ts';

/** The files that a worker machine needs, and the addresses that must be reachable. Pure. */
export interface WorkerConfig {
  /** Contents by path on the worker. */
  files: Record<string, string>;
  steps: Words[];
  /** Which address must be reachable from where. */
  reach: string[];
}

/** @param infraNodes addresses of infra nodes seen so far; the API server may move to others */
export function workerConfig(spec: ClusterSpec, addresses: Addresses, infraNodes: string[]): WorkerConfig {
  const { host, port } = hostAndPort(addresses.workerServer);
  const loopback = spec.inCluster === 'loopback';
  const { address, port: advertisedPort } = addresses.advertised;
  const nodes =
    infraNodes.length > 0
      ? `${infraNodes.join(', ')} and every other infra node that the API server may move to`
      : 'every infra node';
  return {
    files: {
      '/var/lib/kubelet/config.yaml': kubeletConfiguration(spec),
      '/etc/systemd/system/kubelet.service': kubeletUnit,
      ...(loopback && {
        '/etc/systemd/system/k8s-relay.service': relayUnit(
          spec.loopbackAddress,
          addresses.nodePort,
          relayTarget(spec, addresses),
        ),
      }),
    },
    steps: [
      'Install containerd, runc and the CNI plugins (in /opt/cni/bin), and a kubelet of the same version or up to three minors older.',
      words`mkdir -p /etc/kubernetes/tls, and upload kubeconfig-kubelets and ca.pem from tls/ there (${command('token create', undefined, option('write'))} makes a new kubeconfig-kubelets when its token has expired).`,
      'Write the files below.',
      `systemctl daemon-reload && systemctl enable --now ${loopback ? 'k8s-relay ' : ''}kubelet`,
      'Look: kubectl --kubeconfig=tls/kubeconfig get nodes',
    ],
    reach: [
      `worker → ${host}:${port}/tcp (the API server: kubelet, kube-proxy, network driver)`,
      ...(loopback
        ? [
            `worker → ${relayTarget(spec, addresses)}/tcp (the relay, for pods that dial the service kubernetes.default)`,
          ]
        : [
            `worker → ${spec.inCluster === 'node' ? `${advertisedPort}/tcp of ${nodes}` : `${address}:${advertisedPort}/tcp, the load balancer`} (pods that dial the service kubernetes.default)`,
          ]),
      ...apiServerReach(spec, addresses),
      ...(spec.network === 'flannel' && spec.childAssets ? ['worker ↔ worker: 8472/udp (flannel vxlan)'] : []),
    ],
  };
}

/** The connections that the API server opens itself. */
function apiServerReach(spec: ClusterSpec, { konnectivity }: Addresses): string[] {
  if (konnectivity)
    return [
      `worker → ${konnectivity.host}:${konnectivity.port}/tcp (the konnectivity agent; logs, exec, webhooks and all else that the API server opens go through its tunnel)`,
    ];
  return [
    `infra nodes → worker:10250/tcp (logs, exec, port-forward, metrics${spec.egress === 'kubelet' ? ', and by port-forward webhooks, aggregated APIs, service and pod proxy' : ''})`,
    'infra nodes → worker: ports of hostNetwork pods that serve webhooks or aggregated APIs, where there are such',
  ];
}

/** https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ */
function kubeletConfiguration(spec: ClusterSpec): string {
  return dump({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: '/etc/kubernetes/tls/ca.pem' },
    },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'systemd',
    clusterDNS: [dnsAddress(spec)],
    clusterDomain: spec.dnsDomain,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    rotateCertificates: true,
    serverTLSBootstrap: true,
    ...(Object.keys(spec.featureGates).length > 0 && {
      featureGates: Object.fromEntries(
        Object.entries(spec.featureGates).map(([gate, value]) => [gate, value === 'true']),
      ),
    }),
  });
}

/** The steps on a worker after a change of the plane's CAs; its pods keep running. Pure. @param dir folder of the kubeconfigs */
export function workerVisit(dir: string): string[] {
  return [
    'Now, on every worker (its pods keep running):',
    `upload ca.pem and kubeconfig-kubelets from ${dir}/ to /etc/kubernetes/tls,`,
    'then rm -rf /var/lib/kubelet/kubeconfig /var/lib/kubelet/pki && systemctl restart kubelet.',
  ];
}

const kubeletUnit = `[Unit]
Description=Kubernetes node agent
After=containerd.service network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/local/bin/kubelet \\
  --config=/var/lib/kubelet/config.yaml \\
  --bootstrap-kubeconfig=/etc/kubernetes/tls/kubeconfig-kubelets \\
  --kubeconfig=/var/lib/kubelet/kubeconfig
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`;

/**
 * The target of the relay. Pods dial an address, and an ingress needs a name to choose the backend, so the target is the node
 * port of the infra node to which HOST leads; an address of --worker-endpoint is not an ingress and is used directly.
 */
function relayTarget(spec: ClusterSpec, addresses: Addresses): string {
  const { host, port } = hostAndPort(addresses.workerServer);
  return `${host}:${spec.workerEndpoint ? port : addresses.nodePort}`;
}

/** The API server advertises this address and its own port: the relay makes both lead to it. */
function relayUnit(address: string, nodePort: number, target: string): string {
  return `[Unit]
Description=Relay to the Kubernetes API for pods on this worker
After=network-online.target
Wants=network-online.target

[Service]
ExecStartPre=-/sbin/ip address add ${address}/32 dev lo
ExecStart=/usr/bin/socat TCP-LISTEN:${nodePort},fork,reuseaddr,bind=${address} TCP:${target}
Restart=always

[Install]
WantedBy=multi-user.target
`;
}

/** For people: steps, reachability and files, ready to be copied. */
export function renderWorkerConfig(config: WorkerConfig): string {
  return [
    'Steps on each worker:',
    ...config.steps.map((step, index) => `  ${index + 1}. ${inTerminal(step)}`),
    '',
    'Must be reachable:',
    ...config.reach.map((line) => `  ${line}`),
    ...Object.entries(config.files).map(([file, content]) => `\n# ${file}\n${content.trimEnd()}`),
  ].join('\n');
}
