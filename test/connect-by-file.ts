import { thisProcess } from '../src/commands/options/this-process.ts';
import { connectInfra } from '../src/kube/connect.ts';
import type { InfraCluster } from '../src/kube/infra-cluster.ts';
import { chooseContext } from '../src/kubeconfig/choose.ts';

/** The infra cluster of a kubeconfig, for this process; nothing of its surroundings counts. */
export function connectByFile(kubeconfig: string, namespace: string): InfraCluster {
  const { connection } = chooseContext({ kubeconfig }, { env: {}, home: '/nonexistent', terminal: false });
  return connectInfra(connection, namespace, { actor: thisProcess() });
}
