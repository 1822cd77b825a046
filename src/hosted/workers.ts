import type { Node } from '../kube/objects.ts';

export interface WorkerStatus {
  name: string;
  ready: boolean;
  /** The kubelet's. */
  version: string;
  address: string;
  /** Why it is not Ready, in the node's own word. */
  problem?: string;
  /** The name at which its kubelet dials the API server, or `unknown`; only of a plane that had another HOST before. */
  dials?: string;
}

/** Pure. */
export function workerStatus({ metadata, status }: Node): WorkerStatus {
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  const ready = condition?.status === 'True';
  return {
    name: metadata.name,
    ready,
    version: status?.nodeInfo?.kubeletVersion ?? '',
    address: status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '',
    problem: ready ? undefined : (condition?.reason ?? 'it has not reported yet'),
  };
}
