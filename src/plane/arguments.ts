import type { Component } from '../config/components.ts';
import type { ClusterSpec } from '../config/schema.ts';

/** Flags that k8sk8s sets itself, with the option that changes what they say, where there is one. */
const owned: Record<Component, Record<string, string>> = {
  etcd: Object.fromEntries(
    [
      'name data-dir listen-client-urls advertise-client-urls listen-peer-urls initial-advertise-peer-urls initial-cluster initial-cluster-token initial-cluster-state',
      'client-cert-auth trusted-ca-file cert-file key-file peer-client-cert-auth peer-trusted-ca-file peer-cert-file peer-key-file peer-skip-client-san-verification listen-metrics-urls config-file',
    ]
      .join(' ')
      .split(' ')
      .map((name) => [name, '']),
  ),
  'kube-apiserver': {
    ...none(
      'advertise-address etcd-servers etcd-cafile etcd-certfile etcd-keyfile client-ca-file tls-cert-file tls-private-key-file authentication-config anonymous-auth',
    ),
    ...none(
      'service-account-issuer service-account-key-file service-account-signing-key-file kubelet-certificate-authority kubelet-client-certificate kubelet-client-key',
    ),
    ...none(
      'requestheader-client-ca-file requestheader-allowed-names proxy-client-cert-file proxy-client-key-file enable-aggregator-routing enable-bootstrap-token-auth bind-address',
    ),
    'secure-port': '--node-port',
    'service-cluster-ip-range': '--service-cidr',
    'audit-policy-file': '--audit-policy',
    'encryption-provider-config': '',
    'encryption-provider-config-automatic-reload': '',
    'egress-selector-config-file': '--egress',
    'feature-gates': '--feature-gates',
  },
  'kube-controller-manager': {
    ...none(
      'kubeconfig service-account-private-key-file root-ca-file cluster-signing-cert-file cluster-signing-key-file use-service-account-credentials leader-elect authentication-skip-lookup',
    ),
    ...none(
      'cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file',
    ),
    ...none(
      'cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file allocate-node-cidrs',
    ),
    'cluster-cidr': '--pod-cidr',
    'service-cluster-ip-range': '--service-cidr',
    'feature-gates': '--feature-gates',
  },
  'kube-scheduler': {
    ...none('kubeconfig leader-elect authentication-skip-lookup'),
    'feature-gates': '--feature-gates',
  },
};

function none(names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map((name) => [name, '']));
}

const field: Record<Component, 'etcdArgs' | 'apiServerArgs' | 'controllerManagerArgs' | 'schedulerArgs'> = {
  etcd: 'etcdArgs',
  'kube-apiserver': 'apiServerArgs',
  'kube-controller-manager': 'controllerManagerArgs',
  'kube-scheduler': 'schedulerArgs',
};
const option: Record<Component, string> = {
  etcd: '--etcd-arg',
  'kube-apiserver': '--api-server-arg',
  'kube-controller-manager': '--controller-manager-arg',
  'kube-scheduler': '--scheduler-arg',
};

/** Problems with --…-arg options, each a sentence; empty when all may be used. */
export function ownedArgumentProblems(spec: ClusterSpec): string[] {
  return (Object.keys(owned) as Component[]).flatMap((component) =>
    spec[field[component]].flatMap((argument) => {
      const name = nameOfArgument(argument);
      const instead = owned[component][name];
      if (instead === undefined) return [];
      return [
        `${option[component]} ${name} is set by k8sk8s itself${instead === '' ? ', and the plane depends on it' : `; use ${instead} instead`}`,
      ];
    }),
  );
}

/** The person's flags of one component as command-line arguments; feature gates come along where the component has them. */
export function extraArguments(spec: ClusterSpec, component: Component): string[] {
  const gates = Object.entries(spec.featureGates).map(([gate, value]) => `${gate}=${value}`);
  const flags = spec[field[component]].map((argument) => `--${argument.replace(/^--/, '')}`);
  return component === 'etcd' || gates.length === 0 ? flags : [`--feature-gates=${gates.join(',')}`, ...flags];
}

/** A person's list of these joins the template's own, which the plane's security rests on. */
const joined = ['enable-admission-plugins'];

/** Drops the template's own default where the person gave the same flag: the last one does not win everywhere. */
export function overrideDefaults(args: string[], extra: string[]): string[] {
  const given = new Set(extra.map((argument) => nameOfArgument(argument)));
  const kept = args.filter((argument) => !given.has(nameOfArgument(argument)));
  const added = extra.map((argument) => {
    const name = nameOfArgument(argument);
    const own = args.find((each) => nameOfArgument(each) === name);
    return own && joined.includes(name)
      ? `--${name}=${[...new Set([...valuesOf(own), ...valuesOf(argument)])].join(',')}`
      : argument;
  });
  return [...kept, ...added];
}

function valuesOf(argument: string): string[] {
  return argument.slice(argument.indexOf('=') + 1).split(',');
}

function nameOfArgument(argument: string): string {
  return argument.replace(/^--/, '').split('=')[0] ?? '';
}
