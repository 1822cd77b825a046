import { dump } from 'js-yaml';
import { kubeletConfiguration } from '../../access/worker-script.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { render } from '../../manifests/render.ts';
import { type Addresses, hostAndPort } from '../../plane/addresses.ts';
import clusterInfoTemplate from './cluster-info.yaml';
import kubeadmTemplate from './kubeadm.yaml';

/** Where `kubeadm join` writes the CA that it was given. */
const kubeadmCa = '/etc/kubernetes/pki/ca.crt';

/** What kubeadm reads in the hosted cluster. Pure. */
export function kubeadmObjects(spec: ClusterSpec, addresses: Addresses, ca: string): KubeObject[] {
  return [
    ...render(
      kubeadmTemplate,
      {
        clusterConfiguration: clusterConfiguration(spec, addresses),
        kubeletConfiguration: kubeletConfiguration(spec, {
          clientCAFile: kubeadmCa,
          // kubeadm's own default; `worker.sh kubeadm` writes a patch where containerd does otherwise.
          cgroupDriver: 'systemd',
          // `kubeadm join` asks here whether the kubelet is up, and has no default of its own for what comes from the cluster.
          healthzBindAddress: '127.0.0.1',
          healthzPort: 10248,
        }),
      },
      'addons/kubeadm.yaml',
    ),
    ...(spec.kubeadmTokenDiscovery ? clusterInfo(addresses, ca) : []),
  ];
}

/** What is open to machines that have a token alone. Pure. */
export function clusterInfo({ workerServer }: Pick<Addresses, 'workerServer'>, ca: string): KubeObject[] {
  const cluster = { server: workerServer, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return render(
    clusterInfoTemplate,
    {
      kubeconfig: dump({ apiVersion: 'v1', kind: 'Config', clusters: [{ name: '', cluster }] }, { lineWidth: -1 }),
    },
    'addons/cluster-info.yaml',
  );
}

/** https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/ */
function clusterConfiguration(spec: ClusterSpec, { workerServer }: Addresses): string {
  const { host, port } = hostAndPort(workerServer);
  return dump({
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'ClusterConfiguration',
    clusterName: 'kubernetes',
    controlPlaneEndpoint: `${host}:${port}`,
    kubernetesVersion: `v${spec.kubernetesVersion}`,
    networking: { dnsDomain: spec.dnsDomain, podSubnet: spec.podCidr, serviceSubnet: spec.serviceCidr },
  });
}
