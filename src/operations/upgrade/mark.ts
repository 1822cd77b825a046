import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { ConfigMap } from '../../kube/objects.ts';
import type { UpgradeState } from './state.ts';

/** The object of the hosted cluster that is written before an upgrade and has to be there after it, or after the way back. */
export const mark = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'k8sk8s-upgrade', namespace: 'kube-system' },
};
const { name, namespace } = mark.metadata;

type Marked = Pick<UpgradeState, 'hosted' | 'token'>;

export async function leaveMark({ hosted, token, target }: Marked & Pick<UpgradeState, 'target'>): Promise<void> {
  await hosted.apply<ConfigMap>({ ...mark, data: { token, step: 'before', to: target.kubernetesVersion } });
}

export async function removeMark({ hosted }: { hosted: HostedCluster }): Promise<void> {
  await hosted.delete(mark, name, namespace);
}

/** The mark is still there, and a new write to it is kept. @param step what is written */
export async function proveData({ hosted, token }: Marked, step: string): Promise<void> {
  const found = await hosted.get<ConfigMap>(mark, name, namespace);
  if (found?.data?.token !== token) throw new Error(`the object ${namespace}/${name}, written before, is not there`);
  await hosted.apply<ConfigMap>({ ...mark, data: { ...found.data, step } });
  const again = await hosted.get<ConfigMap>(mark, name, namespace);
  if (again?.data?.step !== step) throw new Error(`a write to ${namespace}/${name} was not kept`);
}
