import { dump } from 'js-yaml';
import { kubernetesImage } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { render, type Value } from '../../../manifests/render.ts';
import { trustedOfClients } from '../../../pki/authority.ts';
import { type Addresses, apiserverService } from '../../addresses.ts';
import { serviceAccountFiles } from '../../authorities-secret.ts';
import { podSelector } from '../../names.ts';
import { containerSecurity } from '../../pod-security.ts';
import { toComponent, toDns, toKubelets, toOutside } from '../../policy-rules.ts';
import { readAtStart } from '../../read-at-start.ts';
import { presetResources } from '../../resources.ts';
import { type ComponentSecret, ownedBy, type PlaneComponent, type WorkloadContext } from '../component.ts';
import { componentKubeconfig } from '../component-kubeconfig.ts';
import auditPolicy from './audit-policy.yaml';
import template from './deployment.yaml';
import {
  egressName,
  egressParts,
  egressPorts,
  egressResources,
  egressSelector,
  egressVolumes,
  gateProgram,
  konnectivityServerName,
  tunnelFiles,
  tunnelHubName,
} from './egress/egress.ts';
import { encryptionFiles } from './encryption-config.ts';
import { identitySecret, openForAnybody } from './identity.ts';
import networkPolicy from './network-policy.yaml';
import { buildApiserverService } from './service.ts';

/**
 * What a tenant may make the API server take of the infra node: requests without end, large lists. Measured with 5,000
 * Secrets of 1 KiB: 319 MiB after one list of all, 406 MiB after thirty at once.
 */
const ceiling = { memory: '2Gi' };

export const kubeApiserver: PlaneComponent<'kube-apiserver'> = {
  name: 'kube-apiserver',
  kind: 'Deployment',
  image: (spec) => spec.apiServerImage ?? kubernetesImage(spec, 'kube-apiserver'),
  replicas: ({ replicas }) => replicas,
  startsAfter: 'etcd',
  arguments: {
    by: 'apiServerArgs',
    owned: {
      ...ownedBy(
        'advertise-address etcd-servers etcd-cafile etcd-certfile etcd-keyfile client-ca-file tls-cert-file tls-private-key-file anonymous-auth',
      ),
      ...ownedBy(
        'service-account-issuer service-account-key-file service-account-signing-key-file kubelet-certificate-authority kubelet-client-certificate kubelet-client-key',
      ),
      ...ownedBy(
        'requestheader-client-ca-file requestheader-allowed-names proxy-client-cert-file proxy-client-key-file enable-aggregator-routing enable-bootstrap-token-auth bind-address',
      ),
      'authentication-config': 'authenticationConfig',
      'authorization-config': 'authorizationConfig',
      'authorization-mode': 'authorizationConfig',
      'authorization-webhook-config-file': 'authorizationWebhook',
      'authorization-webhook-version': 'authorizationConfig',
      'authorization-webhook-cache-authorized-ttl': 'authorizationConfig',
      'authorization-webhook-cache-unauthorized-ttl': 'authorizationConfig',
      'authorization-policy-file': 'authorizationConfig',
      'oidc-issuer-url': 'oidcIssuer',
      'oidc-client-id': 'oidcClientId',
      'oidc-username-claim': 'oidcUsernameClaim',
      'oidc-username-prefix': 'oidcUsernamePrefix',
      'oidc-groups-claim': 'oidcGroupsClaim',
      'oidc-groups-prefix': 'oidcGroupsPrefix',
      'oidc-required-claim': 'oidcRequiredClaims',
      'oidc-ca-file': 'oidcCa',
      'oidc-signing-algs': 'authenticationConfig',
      'secure-port': 'nodePort',
      'service-cluster-ip-range': 'serviceCidr',
      'audit-policy-file': 'auditPolicy',
      'encryption-provider-config': undefined,
      'encryption-provider-config-automatic-reload': undefined,
      'egress-selector-config-file': 'egress',
      'endpoint-reconciler-type': undefined,
      'feature-gates': 'featureGates',
    },
    featureGates: true,
  },
  profiles: {
    // Some 30 MiB less at rest than with Go's own 100, and deploys as quickly.
    default: {
      args: [],
      env: { GOGC: '65' },
      requests: { cpu: '50m', memory: '288Mi' },
      limits: { cpu: '2', memory: '1Gi' },
      ceiling,
    },
    lite: {
      // Reads and watches go to etcd, one by one.
      args: ['--watch-cache=false'],
      // One core less would take half a second more of its start.
      env: { GOGC: '10', GOMAXPROCS: '2' },
      requests: { cpu: '20m', memory: '224Mi' },
      limits: { cpu: '2', memory: '1Gi' },
      ceiling,
    },
  },
  workload: {
    template,
    values,
    // Upstream's binary carries this as a file capability and cannot be executed without it.
    capabilities: ['NET_BIND_SERVICE'],
    spread: true,
  },
  secrets: [ownSecret(), identitySecret(), egressSecret()],
  readsAtStart: (secrets) => [
    ...readAtStart(
      secrets.filter(({ metadata: { name } }) => name === 'kube-apiserver' || name === egressName),
      // konnectivity's server reads its own once.
      ['konnectivity-server.crt', 'konnectivity-server.key'],
    ),
    ...openForAnybody(secrets),
  ],
  services: (planeId, spec, moment) => [buildApiserverService(planeId, spec, moment)],
  kinds: [{ apiVersion: 'v1', kind: 'Service', names: [apiserverService], listed: true }],
  policies: (planeId, spec) =>
    render(
      networkPolicy,
      { selector: podSelector(planeId, 'kube-apiserver'), egressPorts: egressPorts(spec) },
      'kube-apiserver/network-policy.yaml',
    ),
  egress: (planeId, spec) => [
    toDns,
    toComponent(planeId, 'etcd', [2379]),
    // konnectivity's server is a client of the API server's service.
    ...(spec.egress === 'konnectivity' ? [toComponent(planeId, 'kube-apiserver')] : [toKubelets]),
    ...toOutside(spec),
  ],
  trial: {
    needs: ['etcd'],
    without: /^--(etcd-(servers|cafile|certfile|keyfile)|endpoint-reconciler-type)=/,
    instead: () => ['--etcd-servers=http://127.0.0.1:2379', '--endpoint-reconciler-type=none'],
    // The file that names the gate's sockets is judged, and no gate listens there.
    withoutVolumes: egressVolumes,
  },
  reachedAt: { port: ({ advertised }) => advertised.port, byEverybody: true },
  beside: [egressName, konnectivityServerName, tunnelHubName],
};

function values({ spec, addresses, infraServices, startFiles = {} }: WorkloadContext): Record<string, Value> {
  const { port } = addresses.advertised;
  return {
    port,
    advertiseAddress: addresses.advertised.address,
    etcdServers: addresses.etcdServiceIps
      .slice(0, spec.etcdMembers)
      .map((address) => `https://${address}:2379`)
      .join(','),
    replicas: spec.replicas,
    startFiles: startFiles['kube-apiserver'] ?? 'kube-apiserver',
    issuers: addresses.issuers.map((issuer) => `--service-account-issuer=${issuer}`),
    issuer: addresses.issuers[0]!,
    serviceCidr: spec.serviceCidr,
    auditArgs: spec.audit ? ['--audit-policy-file=/etc/kubernetes/pki/audit-policy.yaml', '--audit-log-path=-'] : [],
    ...egressParts(spec, [...(infraServices ?? []), ...ownServices(addresses)], {
      port,
      advertiseAddress: addresses.advertised.address,
      startFiles: startFiles[egressName] ?? egressName,
      containerSecurity: containerSecurity(),
      resources: presetResources(spec, egressResources),
    }),
  };
}

/** What of the infra cluster's services is the plane's own. */
function ownServices({ apiserverServiceIp, etcdServiceIps }: Addresses): string[] {
  return [apiserverServiceIp, ...etcdServiceIps].map((address) => `${address}/32`);
}

function ownSecret(): ComponentSecret {
  const leaves = ['apiserver', 'apiserver-etcd-client', 'apiserver-kubelet-client', 'front-proxy-client'];
  return {
    name: 'kube-apiserver',
    holds: (leaf) => leaves.includes(leaf),
    byContent: true,
    trusted: ['ca', 'etcd-ca', 'kubelet-serving-ca', 'front-proxy-ca'],
    files: (bundle, { spec }) => ({
      'ca.crt': trustedOfClients(bundle.authorities.ca!),
      ...serviceAccountFiles(bundle),
      ...encryptionFiles(bundle),
      ...(spec.audit && { 'audit-policy.yaml': auditPolicyOf(spec) }),
      'egress-selector.yaml': egressSelector(spec),
      // Nothing listens there.
      'resolv.conf': 'nameserver 127.0.0.1\n',
    }),
  };
}

function auditPolicyOf({ auditPolicy: own }: ClusterSpec): string {
  return dump(own ?? render(auditPolicy, {}, 'kube-apiserver/audit-policy.yaml')[0], { noRefs: true });
}

function egressSecret(): ComponentSecret {
  return {
    name: egressName,
    holds: (leaf) => ['egress', 'konnectivity-server', 'infra-issuer', 'tunnel'].includes(leaf),
    byContent: true,
    trusted: ['ca', 'kubelet-serving-ca'],
    files: ({ authorities }, { spec, internalServer }) => ({
      'gate.mjs': gateProgram(),
      ...tunnelFiles(spec, () => trustedOfClients(authorities.ca!)),
      ...(spec.egress === 'konnectivity' && { kubeconfig: componentKubeconfig('egress', internalServer) }),
    }),
  };
}
