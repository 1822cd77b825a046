import { X509Certificate } from 'node:crypto';
import { workerStatus } from '../../src/hosted/workers.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, Node, Pod } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { workerPodsName } from '../../src/plane/beside/worker-pods/worker-pods.ts';

type Request = KubeObject & {
  spec: { username?: string; signerName: string };
  status?: { conditions?: { type: string }[]; certificate?: string };
};

/** Of whatever takes part in a worker's way to its plane, since the plane is gone when the finding is read. */
export async function lastWordsOfWorkers(cluster: InfraCluster): Promise<string> {
  const inside = openPlane(cluster)
    .then(async ({ connect }) => {
      const hosted = await connect();
      return wordsInside(hosted).finally(() => hosted.close());
    })
    .catch((error: Error) => [error.message]);
  return [...(await inside), ...(await wordsOfPods(cluster))].join('\n');
}

async function wordsOfPods(cluster: InfraCluster): Promise<string[]> {
  const { items } = await cluster.list<Pod>({ apiVersion: 'v1', kind: 'Pod' });
  const containers = items.flatMap(({ metadata, spec, status }) =>
    [workerPodsName, 'kube-apiserver', 'kube-controller-manager'].some((name) => metadata.name.startsWith(name))
      ? spec!.containers.map(({ name }) => ({ pod: metadata.name, address: status?.podIP, container: name }))
      : [],
  );
  const logs = containers.map(async ({ pod, address, container }) => {
    const log = await cluster.log(pod, { container, tailLines: 25 }).catch((error: Error) => error.message);
    return `--- ${pod} (${address}), ${container}\n${log}`;
  });
  return Promise.all(logs);
}

/** The addresses that Nodes say they have, and those that their kubelets' certificates are for: the gate compares them. */
async function wordsInside(hosted: HostedCluster): Promise<string[]> {
  const [nodes, requests] = await Promise.all([
    hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' }),
    hosted.list<Request>({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' }),
  ]);
  const ofNodes = nodes.items.map((node) => {
    const addresses = node.status?.addresses?.map(({ type, address }) => `${type} ${address}`);
    return `--- Node ${node.metadata.name}: ${workerStatus(node).ready ? 'Ready' : 'not Ready'}, ${addresses?.join(', ')}`;
  });
  const ofRequests = requests.items
    .filter(({ spec }) => spec.signerName === 'kubernetes.io/kubelet-serving')
    .map(({ metadata, spec, status }) => {
      const conditions = status?.conditions?.map(({ type }) => type).join(', ') || 'nobody has answered';
      const names =
        status?.certificate && new X509Certificate(Buffer.from(status.certificate, 'base64')).subjectAltName;
      return `--- ${metadata.name} of ${spec.username}, ${metadata.creationTimestamp}: ${conditions}, ${names ?? 'no certificate'}`;
    });
  return [...ofNodes, ...ofRequests];
}
