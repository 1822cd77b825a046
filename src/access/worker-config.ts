import { command, option, type Words, words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type Addresses, hostAndPort } from '../plane/addresses.ts';
import { driverOf } from '../plane/networks/table.ts';
import { inTerminal } from '../ui/words.ts';
import { relayTarget, workerFolder, workerScript } from './worker-script.ts';

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
    files: { [`${workerFolder}/worker.sh`]: workerScript(spec, addresses) },
    steps: [
      'Install containerd, runc and the CNI plugins (in /opt/cni/bin), and a kubelet of the same version or up to three minors older.',
      words`mkdir -p ${workerFolder}, and upload kubeconfig-kubelets, ca.pem and worker.sh from tls/ there: deploy has written them (${command('token create', undefined, option('write'))} makes a new kubeconfig-kubelets when its token has expired).`,
      `sh ${workerFolder}/worker.sh check, until it finds nothing that keeps the machine from being a worker.`,
      `sh ${workerFolder}/worker.sh configure`,
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
            `worker → ${spec.inCluster === 'node' ? `${advertisedPort}/tcp of ${nodes}` : `${address}:${advertisedPort}/tcp, ${spec.inCluster === 'clusterip' ? 'the service apiserver of the infra cluster' : 'the load balancer'}`} (pods that dial the service kubernetes.default)`,
          ]),
      ...apiServerReach(spec, addresses),
      ...driverOf(spec)
        .reach(spec)
        .map((each) => `worker ↔ worker: ${each}`),
    ],
  };
}

/** The connections that the API server opens itself. */
function apiServerReach(spec: ClusterSpec, { konnectivity }: Addresses): string[] {
  if (spec.tunnelHost !== undefined)
    return [
      `worker → ${spec.tunnelHost}:${spec.port ?? 443}/tcp (its tunnel, through which the API server reaches the kubelet: logs, exec, port-forward, metrics${spec.egress === 'kubelet' ? ', and by port-forward webhooks, aggregated APIs, service and pod proxy' : ''})`,
    ];
  if (konnectivity)
    return [
      `worker → ${konnectivity.host}:${konnectivity.port}/tcp (the konnectivity agent; logs, exec, webhooks and all else that the API server opens go through its tunnel)`,
    ];
  return [
    `infra nodes → worker:10250/tcp (logs, exec, port-forward, metrics${spec.egress === 'kubelet' ? ', and by port-forward webhooks, aggregated APIs, service and pod proxy' : ''})`,
    'infra nodes → worker: ports of hostNetwork pods that serve webhooks or aggregated APIs, where there are such',
  ];
}

/** The steps on a worker after a change of the plane's CAs; its pods keep running. Pure. @param dir folder of the kubeconfigs */
export function workerVisit(dir: string): string[] {
  return [
    'Now, on every worker (its pods keep running):',
    `upload ca.pem and kubeconfig-kubelets from ${dir}/ to /etc/kubernetes/tls,`,
    'then rm -rf /var/lib/kubelet/kubeconfig /var/lib/kubelet/pki && systemctl restart kubelet.',
  ];
}

/**
 * The steps on a worker after another HOST or endpoint: the kubelet keeps its certificate, so a bootstrap token that has expired
 * is no hindrance. Pure. @param dir folder of the kubeconfigs
 */
export function workerMove(dir: string): string[] {
  return [
    'On every worker (its pods keep running, and no token is needed):',
    `upload kubeconfig-kubelets and worker.sh from ${dir}/ to ${workerFolder},`,
    `then sh ${workerFolder}/worker.sh configure && systemctl daemon-reload && systemctl restart kubelet.`,
  ];
}

/** For people: steps and reachability. The files are longer than a screen, and have an option of their own. */
export function renderWorkerConfig(config: WorkerConfig): string {
  return [
    'Steps on each worker:',
    ...config.steps.map((step, index) => `  ${index + 1}. ${inTerminal(step)}`),
    '',
    'Must be reachable:',
    ...config.reach.map((line) => `  ${line}`),
  ].join('\n');
}
