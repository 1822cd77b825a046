import type { ClusterSpec } from './schema.ts';
import { knownMinor, newest, otherImages } from './versions.ts';

/** Images that a spec's plane and child assets run. */
export interface Images {
  etcd: string;
  kubeApiserver: string;
  kubeControllerManager: string;
  kubeScheduler: string;
  kubeProxy: string;
  flannel: string;
  flannelCni: string;
  coredns: string;
  node: string;
  konnectivityServer: string;
  konnectivityAgent: string;
}

/** Every image by its full name: the one given, else upstream's, moved to --image-registry when there is one. */
export function imagesOf(spec: ClusterSpec): Images {
  const kubernetes = (name: string) => `registry.k8s.io/${name}:v${spec.kubernetesVersion}`;
  const mirror = (name: string) =>
    spec.imageRegistry ? `${spec.imageRegistry.replace(/\/$/, '')}/${name.slice(name.indexOf('/') + 1)}` : name;
  return {
    etcd: spec.etcdImage ?? mirror(`registry.k8s.io/etcd:${(knownMinor(spec.kubernetesVersion) ?? newest).etcd}`),
    kubeApiserver: spec.apiServerImage ?? mirror(kubernetes('kube-apiserver')),
    kubeControllerManager: spec.controllerManagerImage ?? mirror(kubernetes('kube-controller-manager')),
    kubeScheduler: spec.schedulerImage ?? mirror(kubernetes('kube-scheduler')),
    kubeProxy: spec.kubeProxyImage ?? mirror(kubernetes('kube-proxy')),
    flannel: spec.flannelImage ?? mirror(otherImages.flannel),
    flannelCni: spec.flannelCniImage ?? mirror(otherImages.flannelCni),
    coredns: spec.corednsImage ?? mirror(otherImages.coredns),
    node: spec.nodeImage ?? mirror(otherImages.node),
    konnectivityServer: spec.konnectivityServerImage ?? mirror(otherImages.konnectivityServer),
    konnectivityAgent: spec.konnectivityAgentImage ?? mirror(otherImages.konnectivityAgent),
  };
}
