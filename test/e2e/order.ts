import { readFileSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { isTestAll } from '../test-all.ts';

/**
 * The order of the e2e files, which share one sandbox. No file needs what another file made: each has namespaces of its own, and
 * gives its workers back. Two files run at a time, since a plane's tests wait for most of their time. The order matters for
 * these reasons, told where it does.
 */
export const order = [
  // What everything else stands on: when this fails, what fails later says nothing new.
  'cluster',

  // Of those that take long, before those that do not, so that no long one is left to run alone at the end.
  'operator',
  'egress',
  'etcd-members',
  'etcd-survivor',
  'live-changes',
  'failures',
  'upgrade',
  'rotate-ca',
  'identity',
  'sleep',
  'attacks',
  'attacks-operator',
  'backup',
  'class',
  'secrets',
  'seal',
  'volume',
  'lifetime',
  'diff',
  'credentials',
  'bootstrap-policy',
  'sandbox',

  // With `npm run test:all` alone.
  'hostile',
  'attacks-long',
  'hosts',
  'machines-join',
  'workers',
  'networks',
  'two-families',
  'network-cilium',
  'konnectivity',
  'tunnel',
  'log-view',
  'worker-pods',
  'in-cluster-clients',
  'exposure',
  'exposure-changes',
  'connect',
  'older-minor',
  'backup-bucket',
  'operator-deletion',
  'operator-use',
  'operator-upgrade',
  'class-operator',
  'rotate-exposed',
  'cert-manager',

  // What these measure bears no other file beside it. They come last: while they waited for the others to end, nothing new could begin.
  'bench',
  'operator-scale',
  'availability',
  // These start a second sandbox on the box, which takes memory and processors from whatever runs beside it.
  'sandbox-crash',
  'another-infra-cluster',
  'network-policies',
  // The longest, and of the others' failures it says nothing.
  'conformance',
];

/** How many of them run at a time. `npm run test:all` has so many that wait for one plane or another that a third one finds the processors idle. */
export const places = isTestAll ? 3 : 2;
/** Pairs of worker machines of the sandbox: so many files can let workers join at a time. */
export const pairsOfWorkers = isTestAll ? 2 : 1;

/** These let workers join with `npm run test:all` alone. */
const workersForAll = ['attacks-long', 'secrets', 'seal', 'sandbox'];
/** What they measure, or what they start, bears no other file beside it. */
const alone = [
  ...['bench', 'availability', 'operator-scale'],
  ...['sandbox-crash', 'another-infra-cluster', 'network-policies', 'conformance'],
];

/** What one file has at a time, in the order in which a file takes it: then no two files wait for each other. */
export interface Needs {
  /** An infra cluster has one operator. */
  operator: boolean;
  /** How many pairs of worker machines. */
  pairs: number;
  /** Nothing else runs beside a file that needs all. */
  places: 'none' | 'one' | 'all';
}

export function needsOf(name: string): Needs {
  if (alone.includes(name)) return { operator: false, pairs: 0, places: isTestAll ? 'all' : 'none' };
  const source = readFileSync(`test/e2e/${name}.test.ts`, 'utf8');
  const joins = source.includes("'join'") && (isTestAll || !workersForAll.includes(name));
  // Who chooses a machine before it is claimed must find it unclaimed a moment later.
  const chooses = source.includes('!claimedBy');
  return {
    operator: source.includes("'./operator-world.ts'"),
    pairs: joins ? (chooses ? pairsOfWorkers : 1) : 0,
    places: 'one',
  };
}

/** What vitest does without it: files that failed first, then the longest, then the largest. */
export class E2eOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = files.filter(({ project }) => project.name !== 'e2e');
    const e2e = files.filter(({ project }) => project.name === 'e2e');
    const place = ({ moduleId }: TestSpecification) => order.indexOf(path.basename(moduleId, '.test.ts'));
    return [...(await super.sort(others)), ...e2e.sort((one, other) => place(one) - place(other))];
  }
}
