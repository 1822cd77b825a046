import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec } from '../../src/config/schema.ts';

/** Specs whose rendered manifests are kept under test/golden/rendered/, one file each. */
export const specs: Record<string, ClusterSpec> = Object.fromEntries(
  Object.entries({
    default: {},
    'older-minor': { kubernetesVersion: '1.34' },
    nodeport: { host: '192.0.2.10', expose: 'nodeport' as const, nodePort: 30648 },
    loopback: { inCluster: 'loopback' as const, loopbackAddress: '10.199.199.198' },
    loadbalancer: { inCluster: 'loadbalancer' as const },
    'own-network': {
      network: 'none' as const,
      serviceCidr: '10.96.0.0/12',
      podCidr: '10.244.0.0/16',
      egress: 'none' as const,
      dnsDomain: 'k8s.internal',
    },
    konnectivity: { egress: 'konnectivity' as const, replicas: 2 },
    'no-child-assets': { childAssets: false },
    durable: { etcdStorage: '10Gi', etcdStorageClass: 'fast' },
    sealed: { seal: 'key-file' as const },
    lite: { profile: 'lite' as const, etcdArgs: ['heartbeat-interval=200'] },
    'highly-available': { etcdStorage: '10Gi', etcdMembers: 3, replicas: 3 },
    platform: {
      inCluster: 'loadbalancer' as const,
      loadBalancerClass: 'example.com/internal',
      serviceAnnotations: { 'example.com/scheme': 'internal' },
      podLabels: { team: 'a' },
      podAnnotations: { 'sidecar.istio.io/inject': 'false' },
      priorityClassName: 'planes',
      runtimeClassName: 'kata',
      serviceAccountName: 'plane',
      runAsUser: 'platform',
    },
    options: {
      port: 8443,
      workerEndpoint: 'https://10.1.2.3:6443',
      ingressClass: 'internal',
      ingressAnnotations: { 'example.com/note': 'x' },
      featureGates: { SomeGate: 'true' as const },
      apiServerArgs: ['v=2', 'profiling=true'],
      etcdArgs: ['snapshot-count=5000'],
      auditPolicy: { apiVersion: 'audit.k8s.io/v1', kind: 'Policy' as const, rules: [{ level: 'Metadata' }] },
      resources: ['limits', 'etcd=cpu=100m,memory=128Mi'],
      nodeSelector: { pool: 'planes' },
      tolerations: ['dedicated=planes:NoSchedule', 'spot'],
      allowEgress: ['10.20.0.0/16', 'hooks.corp.example:8443'],
      imageRegistry: 'mirror.example.com/k8s',
      imagePullSecret: 'mirror',
    },
  }).map(([name, input]) => [name, parseSpec({ host: 'k.example.com', ...input }, name)]),
);
