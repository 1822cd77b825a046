/** The components that run as Deployments; etcd is a StatefulSet. */
export const deployments = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;

/** The components of a control plane, by upstream's names; their workloads and Secrets have the same names. */
export const components = ['etcd', ...deployments] as const;
export type Component = (typeof components)[number];
