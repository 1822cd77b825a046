/** What a control plane consists of, by upstream's names: the names of its workloads and of their Secrets as well. */
export const components = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type Component = (typeof components)[number];
