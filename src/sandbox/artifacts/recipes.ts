import { createHash } from 'node:crypto';
import { minimumGo, versions } from '../versions.ts';
import { mcsControllersSource, pauseSource, tencentVpcSource } from './go-sources.ts';
import type { GoMod } from './gomod.ts';

/** Programs with one version, which are built in one Go module and under one lock. */
export interface Component {
  /** Its version in a sandbox of this Kubernetes version, of the source that is handed in for it, else ''. */
  version: (kubernetes: string, source: string) => string;
  /** The module that is looked for first, to find out whether a module proxy answers. */
  module?: (version: string) => [module: string, version: string];
  /** Absent: made from the go.mod of k8s.io/kubernetes (kubernetesGoMod). */
  goMod?: (version: string) => GoMod;
  /** Files beside go.mod, by relative path, with the source that is handed in. */
  files?: (source: string) => Record<string, string>;
}

export interface Binary {
  component: ComponentName;
  /** Go package; for a `module-file` or `module-folder` its path inside the component's module, for a `debian-file` or `npm-file` PACKAGE/PATH. */
  package: string;
  /** How the program is made, where `go build` does not make it; the last four ways need no compiler. */
  by?: 'go-test' | 'module-file' | 'module-folder' | 'debian-file' | 'npm-file';
  /** Linker flags besides `-s -w`. */
  ldflags?: (version: string) => string[];
  tags?: string;
  cgo?: true;
  /**
   * How long the build took on 2 cores from an empty Go cache, with all downloads, in the order of this table: later programs
   * find packages that earlier ones compiled.
   */
  seconds: number;
}

const simple = (name: string, module: string, version: string): GoMod => ({
  module: `sandbox.test/${name}`,
  go: minimumGo,
  requires: [[module, `v${version}`]],
});

const konnectivity = 'sigs.k8s.io/apiserver-network-proxy';
const victoriaLogs = 'github.com/VictoriaMetrics/VictoriaLogs';
const porcupine = 'github.com/anishathalye/porcupine';

export const components = {
  pause: {
    version: () => versions.pause,
    goMod: () => ({ module: 'sandbox.test/pause', go: minimumGo }),
    files: () => ({ 'main.go': pauseSource }),
  },
  etcd: {
    version: () => versions.etcd,
    module: (version) => ['go.etcd.io/etcd/server/v3', `v${version}`],
    goMod: (version) => ({
      module: 'sandbox.test/etcd',
      go: minimumGo,
      requires: ['server', 'etcdctl', 'etcdutl'].map((part) => [`go.etcd.io/etcd/${part}/v3`, `v${version}`]),
    }),
  },
  kubernetes: {
    version: (kubernetes) => kubernetes,
    module: (version) => ['k8s.io/kubernetes', `v${version}`],
  },
  coredns: {
    version: () => versions.coredns,
    module: (version) => ['github.com/coredns/coredns', `v${version}`],
    goMod: (version) => simple('coredns', 'github.com/coredns/coredns', version),
  },
  flannel: {
    version: () => versions.flannel,
    module: (version) => ['github.com/flannel-io/flannel', `v${version}`],
    goMod: (version) => ({
      ...simple('flannel', 'github.com/flannel-io/flannel', version),
      replaces: [
        { module: 'github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/vpc', with: './vpc' },
        {
          module: 'github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common',
          with: 'github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common',
          version: 'v1.3.210',
        },
      ],
    }),
    files: () => ({
      'vpc/go.mod': 'module github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/vpc\n\ngo 1.22\n',
      'vpc/v20170312/vpc.go': tencentVpcSource,
    }),
  },
  'flannel-cni': {
    version: () => versions.flannelCni,
    module: () => ['github.com/containernetworking/plugins', `v${versions.flannelCniSource}`],
    // This source knows CNI up to 0.4.0; the release whose version it bears knows more.
    goMod: () => simple('flannel-cni', 'github.com/containernetworking/plugins', versions.flannelCniSource),
  },
  'local-path-provisioner': {
    version: () => versions.localPathProvisioner,
    module: (version) => ['github.com/rancher/local-path-provisioner', `v${version}`],
    goMod: (version) => simple('local-path-provisioner', 'github.com/rancher/local-path-provisioner', version),
  },
  traefik: {
    version: () => versions.traefik,
    module: (version) => ['github.com/traefik/traefik/v3', `v${version}`],
    // The replace and exclude lines of Traefik's go.mod, because Go ignores those of a requirement.
    goMod: (version) => ({
      ...simple('traefik', 'github.com/traefik/traefik/v3', version),
      replaces: [
        {
          module: 'github.com/abbot/go-http-auth',
          with: 'github.com/containous/go-http-auth',
          version: 'v0.4.1-0.20200324110947-a37a7636d23e',
        },
        {
          module: 'github.com/gorilla/mux',
          with: 'github.com/containous/mux',
          version: 'v0.0.0-20250523120546-41b6ec3aed59',
        },
        {
          module: 'github.com/mailgun/minheap',
          with: 'github.com/containous/minheap',
          version: 'v0.0.0-20190809180810-6e71eb837595',
        },
      ],
      excludes: [['github.com/tencentcloud/tencentcloud-sdk-go', 'v3.0.83+incompatible']],
    }),
  },
  'traefik-kinds': {
    version: () => versions.traefik,
    module: (version) => ['github.com/traefik/traefik/v3', `v${version}`],
    goMod: (version) => simple('traefik-kinds', 'github.com/traefik/traefik/v3', version),
  },
  'gateway-api': {
    version: () => versions.gatewayApi,
    module: (version) => ['sigs.k8s.io/gateway-api', `v${version}`],
    goMod: (version) => simple('gateway-api', 'sigs.k8s.io/gateway-api', version),
  },
  'metrics-server': {
    version: () => versions.metricsServer,
    module: (version) => ['sigs.k8s.io/metrics-server', `v${version}`],
    goMod: (version) => simple('metrics-server', 'sigs.k8s.io/metrics-server', version),
  },
  konnectivity: {
    version: () => versions.konnectivity,
    module: (version) => [konnectivity, `v${version}`],
    // Newer than minimumGo, and nobody needs it who builds a sandbox.
    goMod: (version) => ({ ...simple('konnectivity', konnectivity, version), go: '1.26.2' }),
  },
  'victoria-logs': {
    version: () => versions.victoriaLogs,
    module: (version) => [victoriaLogs, `v${version}`],
    // Newer than minimumGo, and nobody needs it who builds a sandbox.
    goMod: (version) => ({ ...simple('victoria-logs', victoriaLogs, version), go: '1.26.5' }),
  },
  'cert-manager': {
    version: () => versions.certManager,
    module: (version) => ['github.com/cert-manager/cert-manager', `v${version}`],
    goMod: (version) => simple('cert-manager', 'github.com/cert-manager/cert-manager', version),
  },
  cilium: {
    version: () => versions.cilium,
    module: (version) => ['github.com/cilium/cilium', `v${version}`],
    // Cilium requires a commit of gobgp, and a folder of mcs-api with a tag of its own: not every module proxy serves these.
    goMod: (version) => ({
      ...simple('cilium', 'github.com/cilium/cilium', version),
      replaces: [
        { module: 'github.com/osrg/gobgp/v4', with: 'github.com/osrg/gobgp/v4', version: 'v4.7.0' },
        { module: 'sigs.k8s.io/mcs-api/controllers', with: './mcs-api-controllers' },
      ],
    }),
    files: () => ({
      'mcs-api-controllers/go.mod': 'module sigs.k8s.io/mcs-api/controllers\n\ngo 1.22\n',
      'mcs-api-controllers/controllers.go': mcsControllersSource,
    }),
  },
  /** Renders charts of network drivers, at release time. */
  helm: {
    version: () => versions.helm,
    module: (version) => ['helm.sh/helm/v3', `v${version}`],
    goMod: (version) => simple('helm', 'helm.sh/helm/v3', version),
  },
  // Kubernetes' module again, but separate: the requirements of the test suite must not choose versions for the components.
  conformance: {
    version: (kubernetes) => kubernetes,
    module: (version) => ['k8s.io/kubernetes', `v${version}`],
  },
  crane: {
    version: () => versions.crane,
    module: (version) => ['github.com/google/go-containerregistry', `v${version}`],
    goMod: (version) => simple('crane', 'github.com/google/go-containerregistry', version),
  },
  versitygw: {
    version: () => versions.versitygw,
    module: (version) => ['github.com/versity/versitygw', `v${version}`],
    goMod: (version) => simple('versitygw', 'github.com/versity/versitygw', version),
  },
  ignition: {
    version: () => versions.ignition,
    module: (version) => ['github.com/coreos/ignition/v2', `v${version}`],
    goMod: (version) => simple('ignition', 'github.com/coreos/ignition/v2', version),
  },
  'sample-apiserver': {
    version: () => versions.sampleApiserver,
    module: (version) => ['k8s.io/sample-apiserver', `v${version}`],
    goMod: (version) => simple('sample-apiserver', 'k8s.io/sample-apiserver', version),
  },
  /** For `npm run faults`, which hands main.go in. The version follows from that source, so that the cache never has an older program. */
  'history-checker': {
    version: (_, source) => {
      if (source === '') throw new Error('the history checker has no source: hand it in');
      return `${versions.porcupine}-${createHash('sha256').update(source).digest('hex').slice(0, 8)}`;
    },
    module: () => [porcupine, `v${versions.porcupine}`],
    goMod: () => simple('history-checker', porcupine, versions.porcupine),
    files: (source) => ({ 'main.go': source }),
  },
  /** Programs in the version of this box's Debian. */
  debian: { version: () => 'box' },
  node: { version: () => versions.node },
} satisfies Record<string, Component>;

export type ComponentName = keyof typeof components;

/** As hack/lib/version.sh stamps them; a module does not tell commit and date. */
function kubernetesStamp(version: string): string[] {
  const stamp = {
    gitVersion: `v${version}`,
    gitMajor: '1',
    gitMinor: version.split('.')[1],
    gitTreeState: 'clean',
    gitCommit: '0'.repeat(40),
    buildDate: '2026-01-01T00:00:00Z',
  };
  return Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
}

const kubernetes = (program: string, seconds: number) =>
  ({
    component: 'kubernetes',
    package: `k8s.io/kubernetes/cmd/${program}`,
    ldflags: kubernetesStamp,
    seconds,
  }) satisfies Binary;

const moduleFile = (component: ComponentName, path: string) =>
  ({ component, package: path, by: 'module-file', seconds: 0 }) satisfies Binary;

const testImageFile = (path: string) => moduleFile('conformance', `test/images/${path}`);

const certManager = (program: string, seconds: number) =>
  ({
    component: 'cert-manager',
    package: `github.com/cert-manager/cert-manager/cmd/${program}`,
    seconds,
  }) satisfies Binary;

const cilium = (program: string, tags: string, seconds: number) =>
  ({
    component: 'cilium',
    package: `github.com/cilium/cilium/${program}`,
    ldflags: (version: string) => [`-X github.com/cilium/cilium/pkg/version.ciliumVersion=${version}`],
    tags,
    seconds,
  }) satisfies Binary;

/** Of the experimental channel: the standard one has no TLSRoute of v1alpha2, the only one that Traefik 3.6 reads. */
const gatewayCrd = (plural: string) =>
  moduleFile('gateway-api', `config/crd/experimental/gateway.networking.k8s.io_${plural}.yaml`);

const certManagerCrd = (plural: string) => moduleFile('cert-manager', `deploy/crds/crd-${plural}.yaml`);

/** Every program, in the order in which they are built: what the first steps of a sandbox need comes first. */
export const binaries = {
  pause: { component: 'pause', package: '.', seconds: 1 },
  etcd: { component: 'etcd', package: 'go.etcd.io/etcd/server/v3', seconds: 23 },
  etcdctl: { component: 'etcd', package: 'go.etcd.io/etcd/etcdctl/v3', seconds: 4 },
  etcdutl: { component: 'etcd', package: 'go.etcd.io/etcd/etcdutl/v3', seconds: 2 },
  'kube-apiserver': kubernetes('kube-apiserver', 275),
  kubelet: kubernetes('kubelet', 74),
  'kube-controller-manager': kubernetes('kube-controller-manager', 30),
  'kube-scheduler': kubernetes('kube-scheduler', 8),
  'kube-proxy': kubernetes('kube-proxy', 10),
  kubectl: kubernetes('kubectl', 20),
  kubeadm: kubernetes('kubeadm', 18),
  coredns: { component: 'coredns', package: 'github.com/coredns/coredns', seconds: 113 },
  flanneld: {
    component: 'flannel',
    package: 'github.com/flannel-io/flannel',
    ldflags: (version) => [
      `-X github.com/flannel-io/flannel/pkg/version.Version=v${version}`,
      '-linkmode external',
      '-extldflags -static',
    ],
    tags: 'netgo osusergo',
    // flannel's udp backend is written in C.
    cgo: true,
    seconds: 57,
  },
  'install-conf': { component: 'flannel', package: 'github.com/flannel-io/flannel/cmd/install_conf', seconds: 1 },
  'flannel-cni': {
    component: 'flannel-cni',
    package: 'github.com/containernetworking/plugins/plugins/meta/flannel',
    seconds: 2,
  },
  'local-path-provisioner': {
    component: 'local-path-provisioner',
    package: 'github.com/rancher/local-path-provisioner',
    ldflags: (version) => [`-X main.VERSION=v${version}`],
    seconds: 55,
  },
  traefik: {
    component: 'traefik',
    package: 'github.com/traefik/traefik/v3/cmd/traefik',
    ldflags: (version) => [`-X github.com/traefik/traefik/v3/pkg/version.Version=${version}`],
    seconds: 288,
  },
  'metrics-server': {
    component: 'metrics-server',
    package: 'sigs.k8s.io/metrics-server/cmd/metrics-server',
    ldflags: (version) => [`-X k8s.io/client-go/pkg/version.gitVersion=v${version}`],
    seconds: 108,
  },
  'konnectivity-server': { component: 'konnectivity', package: `${konnectivity}/cmd/server`, seconds: 60 },
  'konnectivity-agent': { component: 'konnectivity', package: `${konnectivity}/cmd/agent`, seconds: 10 },
  'victoria-logs': { component: 'victoria-logs', package: `${victoriaLogs}/app/victoria-logs`, seconds: 15 },
  'cert-manager-controller': certManager('controller', 500),
  'cert-manager-webhook': certManager('webhook', 40),
  'cert-manager-cainjector': certManager('cainjector', 20),
  'traefik-crds.yaml': moduleFile(
    'traefik-kinds',
    'docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml',
  ),
  'gateway-crd-backendtlspolicies.yaml': gatewayCrd('backendtlspolicies'),
  'gateway-crd-gatewayclasses.yaml': gatewayCrd('gatewayclasses'),
  'gateway-crd-gateways.yaml': gatewayCrd('gateways'),
  'gateway-crd-grpcroutes.yaml': gatewayCrd('grpcroutes'),
  'gateway-crd-httproutes.yaml': gatewayCrd('httproutes'),
  'gateway-crd-referencegrants.yaml': gatewayCrd('referencegrants'),
  'gateway-crd-tcproutes.yaml': gatewayCrd('tcproutes'),
  'gateway-crd-tlsroutes.yaml': gatewayCrd('tlsroutes'),
  'crd-certificaterequests.yaml': certManagerCrd('certificaterequests'),
  'crd-certificates.yaml': certManagerCrd('certificates'),
  'crd-challenges.yaml': certManagerCrd('challenges'),
  'crd-clusterissuers.yaml': certManagerCrd('clusterissuers'),
  'crd-issuers.yaml': certManagerCrd('issuers'),
  'crd-orders.yaml': certManagerCrd('orders'),
  'cilium-agent': cilium('daemon', 'osusergo', 319),
  'cilium-operator': cilium('operator', 'osusergo,ipam_provider_operator', 44),
  'cilium-cni': cilium('plugins/cilium-cni', 'osusergo', 2),
  'cilium-dbg': cilium('cilium-dbg', 'osusergo', 11),
  'cilium-mount': cilium('tools/mount', 'osusergo', 1),
  'init-container.sh': moduleFile('cilium', 'images/cilium/init-container.sh'),
  'install-plugin.sh': moduleFile('cilium', 'plugins/cilium-cni/install-plugin.sh'),
  'cni-uninstall.sh': moduleFile('cilium', 'plugins/cilium-cni/cni-uninstall.sh'),
  'cilium-chart': { component: 'cilium', package: 'install/kubernetes/cilium', by: 'module-folder', seconds: 0 },
  helm: { component: 'helm', package: 'helm.sh/helm/v3/cmd/helm', seconds: 116 },
  /** C sources, which the agent compiles for each kind of interface. */
  'cilium-bpf': { component: 'cilium', package: 'bpf', by: 'module-folder', seconds: 0 },
  'e2e.test': {
    component: 'conformance',
    package: 'k8s.io/kubernetes/test/e2e',
    by: 'go-test',
    ldflags: kubernetesStamp,
    seconds: 210,
  },
  ginkgo: { component: 'conformance', package: 'github.com/onsi/ginkgo/v2/ginkgo', seconds: 10 },
  agnhost: { component: 'conformance', package: 'k8s.io/kubernetes/test/images/agnhost', seconds: 11 },
  nnp: { component: 'conformance', package: 'k8s.io/kubernetes/test/images/nonewprivs', seconds: 1 },
  'localhost.crt': testImageFile('agnhost/porter/localhost.crt'),
  'localhost.key': testImageFile('agnhost/porter/localhost.key'),
  'kitten.jpg': testImageFile('kitten/html/kitten.jpg'),
  'nautilus.jpg': testImageFile('nautilus/html/nautilus.jpg'),
  crane: { component: 'crane', package: 'github.com/google/go-containerregistry/cmd/crane', seconds: 30 },
  versitygw: {
    component: 'versitygw',
    package: 'github.com/versity/versitygw/cmd/versitygw',
    ldflags: (version) => [`-X main.Version=v${version}`],
    seconds: 90,
  },
  'ignition-validate': { component: 'ignition', package: 'github.com/coreos/ignition/v2/validate', seconds: 15 },
  'sample-apiserver': { component: 'sample-apiserver', package: 'k8s.io/sample-apiserver', seconds: 60 },
  'history-checker': { component: 'history-checker', package: '.', seconds: 5 },
  kubemark: kubernetes('kubemark', 60),
  nginx: { component: 'debian', package: 'nginx/usr/sbin/nginx', by: 'debian-file', seconds: 2 },
  node: { component: 'node', package: 'node-linux/bin/node', by: 'npm-file', seconds: 10 },
} satisfies Record<string, Binary>;

export type BinaryName = keyof typeof binaries;

/** The table's rows under their declared types. */
export const componentOf = (name: ComponentName): Component => components[name];
export const binaryOf = (name: BinaryName): Binary => binaries[name];
