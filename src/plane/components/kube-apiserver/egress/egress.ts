import { dump } from 'js-yaml';
import { imagesOf } from '../../../../config/images.ts';
import type { ClusterSpec } from '../../../../config/schema.ts';
import type { KubeObject } from '../../../../kube/objects.ts';
import { render, type Value } from '../../../../manifests/render.ts';
import program from '../../../../programs/gate/main.ts?program';
import hubProgram from '../../../../programs/tunnel/hub/main.ts?program';
import { konnectivityPort, tunnelPort } from '../../../addresses.ts';
import selector from './egress-selector.yaml';
import gate from './gate.yaml';
import konnectivityServer from './konnectivity-server.yaml';
import tunnelHub from './tunnel-hub.yaml';

/*
 * What stands in the API server's pod for the connections that it opens itself (--egress, --tunnel-host): the gate, konnectivity's
 * server, the hub of tunnels. The programs of the gate and of the hub are in src/programs/.
 */

/** Container and Secret of the gate beside the API server. */
export const egressName = 'kube-apiserver-egress' as const;

/** Container of konnectivity's server, with --egress konnectivity. */
export const konnectivityServerName = 'konnectivity-server' as const;

/** Container of the hub of the tunnels, with --tunnel-host. */
export const tunnelHubName = 'kube-apiserver-tunnel' as const;

const infraAccount = 'infra-account';

/** Names of the volumes that the templates have. */
export const egressVolumes = ['egress', 'egress-socket', infraAccount, 'tunnel'];

/** As measured with Node 24: 61 MiB, of which 42 are Node's own program, whose pages all containers of one image share;
 * konnectivity's server takes 40, of which 31 are its program. */
export const egressResources = {
  requests: { cpu: '5m', memory: '52Mi' },
  limits: { cpu: '1', memory: '160Mi' },
};

/** An account of the infra cluster, whose token the gate alone has: for who may read what its issuer is. */
function infraParts({ trustInfra }: ClusterSpec): Record<'infraArgs' | 'infraMounts' | 'infraVolumes', Value[]> {
  if (trustInfra.length === 0) return { infraArgs: [], infraMounts: [], infraVolumes: [] };
  const mountPath = '/run/infra-account';
  return {
    infraArgs: [`--infra-credentials=${mountPath}`],
    infraMounts: [{ name: infraAccount, mountPath, readOnly: true }],
    infraVolumes: [
      {
        name: infraAccount,
        projected: {
          defaultMode: 288,
          sources: [
            { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          ],
        },
      },
    ],
  };
}

interface PodTemplate extends KubeObject {
  template: { spec: { containers: { [key: string]: Value }[]; volumes?: { [key: string]: Value }[] } };
}

/**
 * What the template of the API server takes up for the gate, and for konnectivity's server beside it. Pure.
 *
 * @param closed networks in CIDR form that nothing named by URL may lead to, whatever range they are of
 */
export function egressParts(
  spec: ClusterSpec,
  closed: string[],
  {
    port,
    advertiseAddress,
    startFiles,
    ...values
  }: { port: number; advertiseAddress: string; startFiles: string; containerSecurity: Value; resources: Value },
): Record<'egressContainers' | 'egressVolumes', Value[]> {
  const images = imagesOf(spec);
  const [gatePod] = render(
    gate,
    {
      ...values,
      ...infraParts(spec),
      port,
      advertiseAddress,
      startFiles,
      image: images.node,
      clusterArgs: clusterArgs(spec),
      rules: [
        ...closed.map((network) => `--closed=${network}`),
        ...spec.allowEgress.map((target) => `--open=${target}`),
      ],
    },
    'egress/gate.yaml',
  ) as PodTemplate[];
  const hubs =
    spec.tunnelHost === undefined
      ? []
      : (render(
          tunnelHub,
          { ...values, image: images.node, port, startFiles, tunnelPort: tunnelPort.port, podCidr: spec.podCidr },
          'egress/tunnel-hub.yaml',
        ) as PodTemplate[]);
  const servers =
    spec.egress === 'konnectivity'
      ? (render(
          konnectivityServer,
          { ...values, image: images.konnectivityServer, agentPort: konnectivityPort, servers: spec.replicas },
          'egress/konnectivity-server.yaml',
        ) as PodTemplate[])
      : [];
  return {
    egressContainers: [gatePod!, ...hubs, ...servers].flatMap(({ template }) => template.spec.containers),
    egressVolumes: [gatePod!, ...hubs].flatMap(({ template }) => template.spec.volumes!),
  };
}

/** konnectivity serves the egress selection `cluster` where it is asked for, and a hub of tunnels stands in front of the gate. */
function clusterArgs({ egress, podCidr, tunnelHost }: ClusterSpec): string[] {
  if (egress === 'konnectivity') return [];
  const socket = tunnelHost === undefined ? 'egress.sock' : 'gate.sock';
  return [`--cluster=/run/egress/${socket}`, ...(egress === 'kubelet' ? [`--pod-cidr=${podCidr}`] : [])];
}

/** Ports of the pods, beside the API server's own, that the policies let everybody reach. Pure. */
export function egressPorts(spec: ClusterSpec): Value[] {
  return [
    ...(spec.egress === 'konnectivity' ? [{ port: 'konnectivity' }] : []),
    ...(spec.tunnelHost === undefined ? [] : [{ port: tunnelPort.name }]),
  ];
}

/** File of the API server's Secret. */
export function egressSelector(spec: ClusterSpec): string {
  const protocol = spec.egress === 'konnectivity' ? 'GRPC' : 'HTTPConnect';
  return dump(render(selector, { protocol }, 'egress/egress-selector.yaml')[0]);
}

/** Files of the hub of the tunnels beside its certificate. @param clients PEM of the CAs of the hosted cluster's clients */
export function tunnelFiles({ tunnelHost }: ClusterSpec, clients: () => string): Record<string, string> {
  return tunnelHost === undefined ? {} : { 'hub.mjs': hubProgram, 'client-ca.crt': clients() };
}

/** The gate's program, bundled: it lies in its Secret beside its certificate, so that its pod mounts one thing more. */
export function gateProgram(): string {
  return program;
}
