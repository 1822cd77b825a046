import { connectInfra } from '../src/kube/connect.ts';
import type { InfraCluster } from '../src/kube/infra-cluster.ts';
import { chooseContext } from '../src/kubeconfig/choose.ts';

/** The infra cluster of a kubeconfig; nothing else of this process counts. */
export function connectByFile(kubeconfig: string, namespace: string): InfraCluster {
  const { connection } = chooseContext({ kubeconfig }, { env: {}, home: '/nonexistent', terminal: false });
  return connectInfra(connection, namespace);
}
