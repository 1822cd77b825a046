/** The Kubernetes minors that k8sk8s knows, newest first, each with its newest patch and the etcd image it goes with. */
export interface KnownMinor {
  minor: string;
  patch: string;
  /** Tag of registry.k8s.io/etcd; every listed minor accepts it (kubeadm's SupportedEtcdVersion names 3.7 for all of them). */
  etcd: string;
  /** `e2e`: run against real workers by this repository's tests. `golden`: manifests rendered and compared only. */
  proof: 'e2e' | 'golden';
}

export const knownMinors: KnownMinor[] = [
  { minor: '1.37', patch: '1.37.2', etcd: '3.7.3-0', proof: 'e2e' },
  { minor: '1.36', patch: '1.36.3', etcd: '3.7.3-0', proof: 'e2e' },
  { minor: '1.35', patch: '1.35.4', etcd: '3.7.3-0', proof: 'golden' },
  { minor: '1.34', patch: '1.34.4', etcd: '3.7.3-0', proof: 'golden' },
];

export const newest = knownMinors[0]!;

/** The other programs of a hosted cluster, under the names of their upstream images; those of network drivers stand in their folders. */
export const otherImages = {
  coredns: 'registry.k8s.io/coredns/coredns:v1.15.0',
  node: 'docker.io/library/node:24-slim',
  victoriaLogs: 'docker.io/victoriametrics/victoria-logs:v1.52.2',
  konnectivityServer: 'registry.k8s.io/kas-network-proxy/proxy-server:v0.36.0',
  konnectivityAgent: 'registry.k8s.io/kas-network-proxy/proxy-agent:v0.36.0',
  /** Of `network test`: the programs by which Kubernetes tests networks itself (test/images/agnhost/VERSION of its newest version here). */
  agnhost: 'registry.k8s.io/e2e-test-images/agnhost:2.66.1',
};

/** The registries of all upstream images, those of Kubernetes' own programs, of etcd and of the network drivers among them. */
export const upstreamRegistries = ['registry.k8s.io', 'ghcr.io', 'docker.io', 'quay.io'];

const pattern = /^v?(\d+)\.(\d+)(?:\.(\d+)(-(?:alpha|beta|rc)\.\d+)?)?$/;

/**
 * `1.36`, `v1.36`, `1.36.3` or `v1.37.0-rc.1` as `1.36.3`: a minor alone takes its newest known patch.
 *
 * @returns undefined when `text` is no Kubernetes version, or a bare minor that is not in the table
 */
export function resolveVersion(text: string): string | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  if (match[3] !== undefined) return text.replace(/^v/, '');
  return knownMinors.find((known) => known.minor === `${match[1]}.${match[2]}`)?.patch;
}

/** `1.37` of `1.37.2`. */
export function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/** 37 of `1.37.2`, `v1.37` and the like. */
export function minorNumber(version: string): number {
  return Number(version.split('.')[1]);
}

/** The table's row for a version's minor, if it has one. */
export function knownMinor(version: string): KnownMinor | undefined {
  return knownMinors.find((known) => known.minor === minorOf(version));
}

/** Whether the tests deploy exactly this version, patch included, and join workers to it. */
export function isTested(version: string): boolean {
  return knownMinors.some((known) => known.patch === version);
}
