import access from '../../templates/hosted/access.yaml';
import egress from '../../templates/hosted/egress.yaml';
import flannel from '../../templates/hosted/flannel.yaml';
import konnectivity from '../../templates/hosted/konnectivity.yaml';
import kubeDns from '../../templates/hosted/kube-dns.yaml';
import kubeProxy from '../../templates/hosted/kube-proxy.yaml';
import kubeProxyConfig from '../../templates/hosted/kube-proxy-config.yaml';
import kubeletServingApprover from '../../templates/hosted/kubelet-serving-approver.yaml';
import apiserverService from '../../templates/plane/apiserver-service.yaml';
import auditPolicy from '../../templates/plane/audit-policy.yaml';
import authentication from '../../templates/plane/authentication.yaml';
import backupCronjob from '../../templates/plane/backup-cronjob.yaml';
import disruptionBudget from '../../templates/plane/disruption-budget.yaml';
import egressSelector from '../../templates/plane/egress-selector.yaml';
import etcd from '../../templates/plane/etcd.yaml';
import etcdService from '../../templates/plane/etcd-service.yaml';
import ingress from '../../templates/plane/ingress.yaml';
import konnectivityServer from '../../templates/plane/konnectivity-server.yaml';
import kubeApiserver from '../../templates/plane/kube-apiserver.yaml';
import kubeApiserverEgress from '../../templates/plane/kube-apiserver-egress.yaml';
import kubeControllerManager from '../../templates/plane/kube-controller-manager.yaml';
import kubeScheduler from '../../templates/plane/kube-scheduler.yaml';
import networkPolicies from '../../templates/plane/network-policies.yaml';

/** The files of templates/ that planes are made of, by their names there. */
export const templates = {
  'hosted/access.yaml': access,
  'hosted/egress.yaml': egress,
  'hosted/flannel.yaml': flannel,
  'hosted/konnectivity.yaml': konnectivity,
  'hosted/kube-dns.yaml': kubeDns,
  'hosted/kube-proxy-config.yaml': kubeProxyConfig,
  'hosted/kube-proxy.yaml': kubeProxy,
  'hosted/kubelet-serving-approver.yaml': kubeletServingApprover,
  'plane/apiserver-service.yaml': apiserverService,
  'plane/audit-policy.yaml': auditPolicy,
  'plane/authentication.yaml': authentication,
  'plane/backup-cronjob.yaml': backupCronjob,
  'plane/disruption-budget.yaml': disruptionBudget,
  'plane/egress-selector.yaml': egressSelector,
  'plane/etcd-service.yaml': etcdService,
  'plane/etcd.yaml': etcd,
  'plane/ingress.yaml': ingress,
  'plane/konnectivity-server.yaml': konnectivityServer,
  'plane/kube-apiserver-egress.yaml': kubeApiserverEgress,
  'plane/kube-apiserver.yaml': kubeApiserver,
  'plane/kube-controller-manager.yaml': kubeControllerManager,
  'plane/kube-scheduler.yaml': kubeScheduler,
  'plane/network-policies.yaml': networkPolicies,
};

export type TemplateName = keyof typeof templates;
