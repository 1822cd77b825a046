interface LongForm {
  of: 'all' | 'some';
  by?: string;
}

/**
 * What `npm test` leaves out and `npm run test:all` has, because it takes minutes or has not passed yet (docs/testing.md says which): of
 * each file, whether that is all of it or some tests, and the value of K8SK8S_TEST by which it runs without the others. This file alone reads
 * K8SK8S_TEST.
 */
const longForms = {
  'api/class-operator': { of: 'all' },
  'api/faults': { of: 'some' },
  'api/identity-replicas': { of: 'all' },
  'api/kubeconfigs': { of: 'some' },
  'api/operator-alone': { of: 'all' },
  'api/operator-attacks': { of: 'all' },
  'api/tunnel': { of: 'some' },
  'cli/ignition': { of: 'all', by: 'ignition' },
  'e2e/another-infra-cluster': { of: 'all' },
  'e2e/attacks': { of: 'some', by: 'attacks' },
  'e2e/attacks-long': { of: 'all', by: 'attacks' },
  'e2e/attacks-operator': { of: 'some', by: 'attacks' },
  'e2e/availability': { of: 'all', by: 'availability' },
  'e2e/backup': { of: 'some' },
  'e2e/backup-bucket': { of: 'all' },
  'e2e/bench': { of: 'all' },
  'e2e/cert-manager': { of: 'all' },
  'e2e/class': { of: 'some' },
  'e2e/class-operator': { of: 'all' },
  'e2e/conformance': { of: 'all', by: 'conformance' },
  'e2e/connect': { of: 'all' },
  'e2e/credentials': { of: 'some' },
  'e2e/etcd-members': { of: 'some' },
  'e2e/etcd-survivor': { of: 'some' },
  'e2e/exposure': { of: 'all', by: 'exposure' },
  'e2e/exposure-changes': { of: 'all', by: 'exposure' },
  'e2e/hostile': { of: 'all', by: 'attacks' },
  'e2e/hosts': { of: 'all' },
  'e2e/identity': { of: 'some' },
  'e2e/in-cluster-clients': { of: 'all' },
  'e2e/konnectivity': { of: 'all', by: 'konnectivity' },
  'e2e/lifetime': { of: 'some' },
  'e2e/live-changes': { of: 'some' },
  'e2e/log-view': { of: 'all', by: 'log-view' },
  'e2e/machines-join': { of: 'all' },
  'e2e/network-cilium': { of: 'all', by: 'cilium' },
  'e2e/network-policies': { of: 'all' },
  'e2e/networks': { of: 'all', by: 'networks' },
  'e2e/older-minor': { of: 'all' },
  'e2e/operator': { of: 'some' },
  'e2e/operator-deletion': { of: 'all' },
  'e2e/operator-scale': { of: 'all' },
  'e2e/operator-upgrade': { of: 'all' },
  'e2e/operator-use': { of: 'all' },
  'e2e/rotate-ca': { of: 'some' },
  'e2e/rotate-exposed': { of: 'all' },
  'e2e/sandbox': { of: 'some' },
  'e2e/sandbox-crash': { of: 'all' },
  'e2e/seal': { of: 'some' },
  'e2e/secrets': { of: 'some' },
  'e2e/sleep': { of: 'some' },
  'e2e/tunnel': { of: 'all', by: 'tunnel' },
  'e2e/two-families': { of: 'all', by: 'two-families' },
  'e2e/upgrade': { of: 'some' },
  'e2e/worker-pods': { of: 'all', by: 'worker-pods' },
  'e2e/workers': { of: 'all' },
} satisfies Record<string, LongForm>;

type File = keyof typeof longForms;

/** The files that have such tests. */
export const filesOfTestAll = Object.keys(longForms) as File[];

/** Whether this run is `npm run test:all`. */
export const isTestAll = process.env.K8SK8S_TEST === 'all';

/** Whether this run has what `npm test` leaves out of a file. */
export function runsAllOf(file: File): boolean {
  const { by }: LongForm = longForms[file];
  return isTestAll || (by !== undefined && by === process.env.K8SK8S_TEST);
}

/** Whether this run is of that file by its name: what would take too long beside all others is run too. */
export function runsByName(file: File): boolean {
  const { by }: LongForm = longForms[file];
  return by !== undefined && by === process.env.K8SK8S_TEST;
}
