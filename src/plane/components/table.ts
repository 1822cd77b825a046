import { etcd } from './etcd/etcd.ts';
import { kubeApiserver } from './kube-apiserver/kube-apiserver.ts';
import { kubeControllerManager } from './kube-controller-manager/kube-controller-manager.ts';
import { kubeScheduler } from './kube-scheduler/kube-scheduler.ts';

/** What a control plane consists of, in the order in which it starts. */
export const components = [etcd, kubeApiserver, kubeControllerManager, kubeScheduler] as const;
