import { createHash } from 'node:crypto';
import { UserError } from '../../../base/errors.ts';
import { words } from '../../../base/words.ts';
import { field } from '../../../config/flags.ts';
import { mirrored } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { Workload } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import type { NetworkDriver } from '../driver.ts';
import chart from './cilium-1.20.2.values.yaml?chart';
import { ciliumImages } from './images.ts';
import worker from './worker.sh';

/** https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/ */
export const cilium: NetworkDriver = {
  objects(spec, { apiHost, apiPort, ca }) {
    const error = absent();
    if (error) throw error;
    const [agentImage, operatorImage] = imagesOf(spec);
    const objects = render(chart, { agentImage, operatorImage, apiHost, apiPort }, 'the chart of Cilium');
    for (const { spec: workload } of objects as Workload[]) {
      const template = workload?.template;
      if (template === undefined) continue;
      // The agent reads its ConfigMap and the cluster's CA at its start.
      const annotations = { ...template.metadata?.annotations, 'k8sk8s.io/config-hash': hash(chart + ca) };
      Object.assign(template, { metadata: { ...template.metadata, annotations } });
    }
    return objects;
  },
  absent,
  images: imagesOf,
  apps: ['cilium'],
  replacesKubeProxy: true,
  worker,
  // As cilium-dbg cleanup has them. Its programs on links and cgroups go with the files that pin them.
  left: {
    links: ['cilium_*', 'lxc_health', 'lxc????????????'],
    files: [
      '/etc/cni/net.d/05-cilium.conflist',
      '/sys/fs/bpf/cilium',
      '/sys/fs/bpf/tc/globals/cilium_*',
      '/run/cilium',
    ],
    rules: ['CILIUM_'],
  },
  reach: () => ['8472/udp (Cilium vxlan)'],
  notSupported: [],
};

function imagesOf(spec: ClusterSpec): [string, string] {
  return [
    spec.ciliumImage ?? mirrored(spec, ciliumImages.agent),
    spec.ciliumOperatorImage ?? mirrored(spec, ciliumImages.operator),
  ];
}

function absent(): UserError | undefined {
  if (chart !== '') return undefined;
  return new UserError({
    what: words`this k8sk8s was built without the manifests of ${field('network', 'cilium')}`,
    why: 'helm makes them of its chart at release time, which npm run build alone does not do',
    fix: 'npm run charts, in the folder that k8sk8s was built in',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
