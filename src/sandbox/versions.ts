import { toolVersion } from '../base/version.ts';
import { newest, otherImages } from '../config/versions.ts';
import { ciliumImages } from '../plane/networks/cilium/images.ts';
import { flannelImages } from '../plane/networks/flannel/images.ts';

/** The default versions of a sandbox's programs. The Kubernetes patches are those that `deploy` knows. */
export const versions = {
  kubernetes: newest.patch,
  etcd: newest.etcd.replace(/-\d+$/, ''),
  coredns: tagOf(otherImages.coredns).replace(/^v/, ''),
  flannel: tagOf(flannelImages.agent).replace(/^v/, ''),
  /** A release of github.com/flannel-io/cni-plugin; what is built here is its ancestor (see flannelCniSource). */
  flannelCni: tagOf(flannelImages.plugin).replace(/^v/, ''),
  /** containernetworking/plugins still carried flannel's plugin at this tag, and is served as a Go module. */
  flannelCniSource: '0.9.1',
  traefik: '3.6.12',
  /** For its CustomResourceDefinitions, which Traefik's Gateway provider reads; 1.7 is a module for Go 1.27. */
  gatewayApi: '1.6.1',
  localPathProvisioner: '0.0.30',
  metricsServer: '0.9.0',
  /** The last version whose programs are in the tagged module; since 1.12 each program has its own module. */
  certManager: '1.11.5',
  /** A network for the infra cluster that enforces network policies (infra/cilium.ts). */
  cilium: tagOf(ciliumImages.agent).replace(/^v/, ''),
  helm: '3.22.0',
  /** crane runs a registry, pushes images into it and pulls images out of another one. */
  crane: '0.22.1',
  /** For programs in pods: of the release whose image `deploy` takes (config/versions.ts). */
  node: '24.22.3',
  /** An S3 server on a folder, for the tests of backups. */
  versitygw: '1.8.0',
  /** What reads an Ignition configuration, as Flatcar's machines do at their first boot. */
  ignition: '2.24.0',
  konnectivity: tagOf(otherImages.konnectivityServer).replace(/^v/, ''),
  victoriaLogs: tagOf(otherImages.victoriaLogs).replace(/^v/, ''),
  pause: '3.10',
  /** The linearizability checker of `npm run faults`. */
  porcupine: '1.3.1',
  /** The module behind registry.k8s.io/e2e-test-images/sample-apiserver:1.29.2. */
  sampleApiserver: '0.29.2',
} as const;

/** The oldest Go that compiles all of the above (the `go` line of Kubernetes' and etcd's go.mod). */
export const minimumGo = '1.26.0';

/** Official names of the images, as manifests use them. */
export const imageReferences = {
  'kube-apiserver': (kubernetes: string) => `registry.k8s.io/kube-apiserver:v${kubernetes}`,
  'kube-controller-manager': (kubernetes: string) => `registry.k8s.io/kube-controller-manager:v${kubernetes}`,
  'kube-scheduler': (kubernetes: string) => `registry.k8s.io/kube-scheduler:v${kubernetes}`,
  'kube-proxy': (kubernetes: string) => `registry.k8s.io/kube-proxy:v${kubernetes}`,
  etcd: () => `registry.k8s.io/etcd:${newest.etcd}`,
  coredns: () => otherImages.coredns,
  flannel: () => flannelImages.agent,
  'flannel-cni-plugin': () => flannelImages.plugin,
  traefik: () => `docker.io/library/traefik:v${versions.traefik}`,
  'local-path-provisioner': () => `docker.io/rancher/local-path-provisioner:v${versions.localPathProvisioner}`,
  'metrics-server': () => `registry.k8s.io/metrics-server/metrics-server:v${versions.metricsServer}`,
  'cert-manager-controller': () => `quay.io/jetstack/cert-manager-controller:v${versions.certManager}`,
  'cert-manager-webhook': () => `quay.io/jetstack/cert-manager-webhook:v${versions.certManager}`,
  'cert-manager-cainjector': () => `quay.io/jetstack/cert-manager-cainjector:v${versions.certManager}`,
  'konnectivity-server': () => otherImages.konnectivityServer,
  'konnectivity-agent': () => otherImages.konnectivityAgent,
  cilium: () => ciliumImages.agent,
  'cilium-operator': () => ciliumImages.operator,
  agnhost: () => otherImages.agnhost,
  'victoria-logs': () => otherImages.victoriaLogs,
  pause: () => `registry.k8s.io/pause:${versions.pause}`,
  busybox: () => 'docker.io/library/busybox:latest',
  node: () => otherImages.node,
  /** As `docker build -f Dockerfile.worker -t k8sk8s-worker:VERSION` names what that makes; nobody publishes it either. */
  worker: (kubernetes: string) => `docker.io/library/k8sk8s-worker:v${kubernetes}`,
  /** As `docker build -t k8sk8s:VERSION` names what the Dockerfile makes; nobody publishes it. */
  k8sk8s: () => `docker.io/library/k8sk8s:${toolVersion()}`,
} satisfies Record<string, (kubernetes: string) => string>;

/**
 * Images of Kubernetes' conformance suite alone. Their tags change with the suite's version, which tells them itself
 * (`e2e.test --list-images`).
 */
export const testImageNames = [
  'agnhost',
  'busybox-testing',
  'glibc-dns-testing',
  'kitten',
  'nautilus',
  'nginx',
  'nonewprivs',
  'nonroot',
  'sample-apiserver',
] as const;

export type ImageName = keyof typeof imageReferences | (typeof testImageNames)[number];

function tagOf(reference: string): string {
  return reference.slice(reference.lastIndexOf(':') + 1);
}
