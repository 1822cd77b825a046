import access from '../../templates/hosted/access.yaml';
import egress from '../../templates/hosted/egress.yaml';
import flannel from '../../templates/hosted/flannel.yaml';
import konnectivity from '../../templates/hosted/konnectivity.yaml';
import kubeDns from '../../templates/hosted/kube-dns.yaml';
import kubeProxy from '../../templates/hosted/kube-proxy.yaml';
import kubeProxyConfig from '../../templates/hosted/kube-proxy-config.yaml';
import kubeletServingApprover from '../../templates/hosted/kubelet-serving-approver.yaml';
import backupCronjob from '../../templates/plane/backup-cronjob.yaml';
import disruptionBudget from '../../templates/plane/disruption-budget.yaml';
import egressSelector from '../../templates/plane/egress-selector.yaml';
import konnectivityServer from '../../templates/plane/konnectivity-server.yaml';
import kubeApiserverEgress from '../../templates/plane/kube-apiserver-egress.yaml';
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
  'plane/backup-cronjob.yaml': backupCronjob,
  'plane/disruption-budget.yaml': disruptionBudget,
  'plane/egress-selector.yaml': egressSelector,
  'plane/konnectivity-server.yaml': konnectivityServer,
  'plane/kube-apiserver-egress.yaml': kubeApiserverEgress,
  'plane/network-policies.yaml': networkPolicies,
};

export type TemplateName = keyof typeof templates;
