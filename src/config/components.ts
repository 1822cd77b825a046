/** Those that run as Deployments; etcd is a StatefulSet. */
export const deployments = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;

/** What a control plane consists of, by upstream's names: the names of its workloads and of their Secrets as well. */
export const components = ['etcd', ...deployments] as const;
export type Component = (typeof components)[number];
