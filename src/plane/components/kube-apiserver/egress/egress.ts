import { dump } from 'js-yaml';
import { imagesOf } from '../../../../config/images.ts';
import type { ClusterSpec } from '../../../../config/schema.ts';
import type { KubeObject } from '../../../../kube/objects.ts';
import { render, type Value } from '../../../../manifests/render.ts';
import program from '../../../../programs/egress/main.ts?program';
import { konnectivityPort } from '../../../addresses.ts';
import selector from './egress-selector.yaml';
import konnectivityServer from './konnectivity-server.yaml';
import kubeletProxy from './kubelet-proxy.yaml';

/** Container and Secret of the proxy beside the API server that reaches pods. */
export const egressName = 'kube-apiserver-egress' as const;

/** Names of the volumes that its templates have. */
export const egressVolumes = ['egress', 'egress-socket'];

/** As measured with Node 24: 61 MiB, of which 42 are Node's own program, whose pages all containers of one image share;
 * konnectivity's server takes 40, of which 31 are its program. */
export const egressResources = {
  requests: { cpu: '5m', memory: '52Mi' },
  limits: { cpu: '1', memory: '160Mi' },
};

interface PodTemplate extends KubeObject {
  template: { spec: { containers: { [key: string]: Value }[]; volumes: { [key: string]: Value }[] } };
}

/** What the template of the API server takes up for its way to pods; nothing of it without one. Pure. */
export function egressParts(
  spec: ClusterSpec,
  { port, ...values }: { port: number; containerSecurity: Value; resources: Value },
): Record<'egressArgs' | 'egressMounts' | 'egressContainers' | 'egressVolumes', Value[]> {
  if (spec.egress === 'none') return { egressArgs: [], egressMounts: [], egressContainers: [], egressVolumes: [] };
  const images = imagesOf(spec);
  const [pod] = (
    spec.egress === 'kubelet'
      ? render(
          kubeletProxy,
          { ...values, port, image: images.node, podCidr: spec.podCidr },
          'egress/kubelet-proxy.yaml',
        )
      : render(
          konnectivityServer,
          { ...values, image: images.konnectivityServer, agentPort: konnectivityPort, servers: spec.replicas },
          'egress/konnectivity-server.yaml',
        )
  ) as PodTemplate[];
  return {
    egressArgs: ['--egress-selector-config-file=/etc/kubernetes/pki/egress-selector.yaml'],
    egressMounts: [{ name: 'egress-socket', mountPath: '/run/egress' }],
    egressContainers: pod!.template.spec.containers,
    egressVolumes: pod!.template.spec.volumes,
  };
}

/** Ports of the pods, beside the API server's own, that the policies let everybody reach. Pure. */
export function egressPorts(spec: ClusterSpec): Value[] {
  return spec.egress === 'konnectivity' ? [{ port: 'konnectivity' }] : [];
}

/** File of the API server's Secret. */
export function egressSelector(spec: ClusterSpec): string {
  const protocol = spec.egress === 'konnectivity' ? 'GRPC' : 'HTTPConnect';
  return dump(render(selector, { protocol }, 'egress/egress-selector.yaml')[0]);
}

/** The proxy's program, bundled: it lies in its Secret beside its certificate, so that its pod mounts one thing more. */
export function egressProgram(): string {
  return program;
}
