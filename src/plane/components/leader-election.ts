import type { ClusterSpec } from '../../config/schema.ts';
import type { Value } from '../../manifests/render.ts';
import type { PlaneComponent } from './component.ts';

/** Values for the template of a component whose pods elect a leader. */
export function leaderElectionValues({ replicas }: ClusterSpec): Record<string, Value> {
  const single = replicas === 1;
  return {
    replicas,
    leaderElect: !single,
    strategy: single
      ? { type: 'Recreate' }
      : { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
  };
}

/** Its flags override the server of the kubeconfig; the API server's certificate is valid for 127.0.0.1. */
export const clientTrial: PlaneComponent['trial'] = {
  needs: ['etcd', 'kube-apiserver'],
  without: /^--leader-elect=/,
  instead: (port) => [`--master=https://127.0.0.1:${port}`, '--leader-elect=false'],
};
