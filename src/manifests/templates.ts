import access from '../../templates/hosted/access.yaml';
import clusterInfo from '../../templates/hosted/cluster-info.yaml';
import egress from '../../templates/hosted/egress.yaml';
import konnectivity from '../../templates/hosted/konnectivity.yaml';
import kubeDns from '../../templates/hosted/kube-dns.yaml';
import kubeProxy from '../../templates/hosted/kube-proxy.yaml';
import kubeProxyConfig from '../../templates/hosted/kube-proxy-config.yaml';
import kubeadm from '../../templates/hosted/kubeadm.yaml';
import kubeletServingApprover from '../../templates/hosted/kubelet-serving-approver.yaml';
import tunnelAgent from '../../templates/hosted/tunnel-agent.yaml';
import backupCronjob from '../../templates/plane/backup-cronjob.yaml';
import lifetime from '../../templates/plane/lifetime.yaml';
import sleepCronjob from '../../templates/plane/sleep-cronjob.yaml';
import classNamespace from '../../templates/rights/class.yaml';
import hosts from '../../templates/rights/hosts.yaml';
import logs from '../../templates/rights/logs.yaml';
import namespaceAdmin from '../../templates/rights/namespace-admin.yaml';
import schedule from '../../templates/rights/schedule.yaml';

/** The files of templates/ that planes are made of, by their names there. */
export const templates = {
  'hosted/access.yaml': access,
  'hosted/cluster-info.yaml': clusterInfo,
  'hosted/egress.yaml': egress,
  'hosted/kubeadm.yaml': kubeadm,
  'hosted/konnectivity.yaml': konnectivity,
  'hosted/kube-dns.yaml': kubeDns,
  'hosted/kube-proxy-config.yaml': kubeProxyConfig,
  'hosted/kube-proxy.yaml': kubeProxy,
  'hosted/kubelet-serving-approver.yaml': kubeletServingApprover,
  'hosted/tunnel-agent.yaml': tunnelAgent,
  'plane/backup-cronjob.yaml': backupCronjob,
  'plane/lifetime.yaml': lifetime,
  'plane/sleep-cronjob.yaml': sleepCronjob,
  'rights/class.yaml': classNamespace,
  'rights/hosts.yaml': hosts,
  'rights/logs.yaml': logs,
  'rights/namespace-admin.yaml': namespaceAdmin,
  'rights/schedule.yaml': schedule,
};

export type TemplateName = keyof typeof templates;
