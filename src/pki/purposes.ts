import { command, option, type Words, words } from '../base/words.ts';
export interface Purpose {
  usedFor: string;
  atItsEnd: Words;
}

const purposes: Record<string, Purpose> = {
  ca: authority('signs clients and the API server; workers and kubeconfigs trust it', 'the whole cluster stops'),
  'ca-signer': authority(
    'signs kubelets and users in place of the sealed ca',
    words`workers and users lose access: renew it with ${command('deploy', undefined, option('sealFile'))}`,
  ),
  'etcd-ca': authority('signs etcd and its clients', 'the API server loses etcd, the whole cluster stops'),
  'etcd-peer-ca': authority('signs etcd members towards each other', 'several members lose each other'),
  'front-proxy-ca': authority('signs the API server towards aggregated APIs', 'aggregated APIs refuse the API server'),
  'kubelet-serving-ca': authority("signs kubelets' serving certificates", 'logs, exec, port-forward and metrics stop'),
  apiserver: {
    usedFor: 'what the API server shows to everybody',
    atItsEnd: 'kubectl, workers and pods refuse the API server',
  },
  'apiserver-etcd-client': {
    usedFor: 'the API server towards etcd',
    atItsEnd: 'the API server loses etcd and stops',
  },
  'apiserver-kubelet-client': {
    usedFor: 'the API server towards kubelets',
    atItsEnd: 'logs, exec, port-forward and metrics stop',
  },
  'front-proxy-client': {
    usedFor: 'the API server towards aggregated APIs',
    atItsEnd: 'aggregated APIs refuse the API server',
  },
  'controller-manager': {
    usedFor: 'the controller-manager towards the API server',
    atItsEnd: 'nothing is created, repaired or deleted any more',
  },
  scheduler: {
    usedFor: 'the scheduler towards the API server',
    atItsEnd: 'new pods get no node',
  },
  egress: {
    usedFor: 'the gate beside the API server, or the konnectivity server, towards the API server',
    atItsEnd: 'webhooks and aggregated APIs on pod addresses stop',
  },
  'konnectivity-server': {
    usedFor: 'what the konnectivity server shows to its agents',
    atItsEnd: 'no agent connects; logs, exec, webhooks and aggregated APIs stop',
  },
  tunnel: {
    usedFor: 'what the hub of the tunnels shows to agents on the workers',
    atItsEnd: 'workers that nobody can dial lose logs, exec and webhooks',
  },
  'infra-issuer': {
    usedFor: "what the gate shows to the API server as the infra cluster's issuer of tokens",
    atItsEnd: 'service accounts of the infra cluster are refused',
  },
  admin: {
    usedFor: 'the administrator of tls/kubeconfig',
    atItsEnd: 'kubectl with that file is refused',
  },
};

function authority(usedFor: string, atItsEnd: Words): Purpose {
  return { usedFor, atItsEnd };
}

/** What a certificate of the table is used for; undefined for an unknown name. */
export function purposeOf(name: string): Purpose | undefined {
  const [, replaced, which] = /^(.+)-(next|previous)$/.exec(name) ?? [];
  if (replaced !== undefined && purposes[replaced])
    return authority(
      which === 'next' ? `trusted, will sign in place of ${replaced}` : `still trusted beside ${replaced}`,
      which === 'next' ? 'it never signs' : 'what it signed is refused: certs rotate-ca removes it',
    );
  const [, member, peer] = /^etcd-(\d+)(-peer)?$/.exec(name) ?? [];
  if (member === undefined) return purposes[name];
  return peer
    ? { usedFor: `etcd member ${member} towards the others`, atItsEnd: 'the other members refuse it' }
    : {
        usedFor: `etcd member ${member} towards API servers`,
        atItsEnd: 'API servers refuse that member; with the last one the whole cluster stops',
      };
}
