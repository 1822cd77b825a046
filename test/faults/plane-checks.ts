import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { ConfigMap, Secret } from '../../src/kube/objects.ts';
import { openPlane } from '../../src/live/open.ts';
import { rotationStatus } from '../../src/operations/keys/rotate-ca/rotation-status.ts';
import { trusted } from '../../src/pki/authority.ts';
import { changes } from './kill-points.ts';
import type { Outcome, Place } from './place.ts';

/** Everything that is wrong with a plane, as its administrator would notice it. */
export async function problemsOfPlane(place: Place): Promise<string[]> {
  const problems: string[] = [];
  const [diff, deploy] = [await place.run(['diff']), await place.deploy()];
  if (diff.code !== 0) problems.push(`diff ended with ${diff.code}: ${diff.stdout}${diff.stderr}`);
  if (deploy.code !== 0) problems.push(`a following deploy ended with ${deploy.code}: ${deploy.stderr}`);
  problems.push(...changes(deploy).map((line) => `a following deploy changes something: ${line}`));
  const kept = await inHosted(place, (hosted) => hosted.get<Secret>(markKind, markName, 'default'));
  if (kept?.data?.kept !== markData) problems.push('data from before is not there');
  const left = await inHosted(place, (hosted) =>
    hosted.list<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, { namespace: 'kube-system' }),
  );
  for (const { metadata } of left.items)
    if (metadata.name === 'k8sk8s-upgrade') problems.push('its mark is left in the hosted cluster');
  return problems;
}

const markKind = { apiVersion: 'v1', kind: 'Secret' };
const markName = 'faults-mark';
const markData = Buffer.from('written before').toString('base64');

/** The data is a Secret, so that it is encrypted with the keys before and after. */
export function mark(place: Place): Promise<unknown> {
  const secret: Secret = { ...markKind, metadata: { name: markName, namespace: 'default' }, data: { kept: markData } };
  return inHosted(place, (hosted) => hosted.apply(secret));
}

async function inHosted<T>(place: Place, work: (hosted: HostedCluster) => Promise<T>): Promise<T> {
  const hosted = await (await openPlane(place.cluster)).connect();
  try {
    return await work(hosted);
  } finally {
    await hosted.close();
  }
}

/** The certificates of all leaves, by their Secrets. */
export async function leavesOf(place: Place): Promise<string> {
  const { bundle } = await openPlane(place.cluster);
  return JSON.stringify(Object.values(bundle.leaves).map((leaf) => leaf?.certificate));
}

/** The certificates of all CAs that are trusted. */
export async function authoritiesOf(place: Place): Promise<string> {
  const { bundle } = await openPlane(place.cluster);
  return JSON.stringify(Object.values(bundle.authorities).map((authority) => authority && trusted(authority)));
}

export async function rotationProblems(place: Place): Promise<string[]> {
  const now = await rotationStatus(place.cluster);
  return now.flatMap(({ name, stage, next }) => (stage === 'one' && !next ? [] : [`${name} is ${stage}: ${next}`]));
}

export async function answer(place: Place, ...args: string[]): Promise<string> {
  return expectSuccess(await place.run(args)).stdout;
}

export async function succeed(place: Place, ...args: string[]): Promise<void> {
  expectSuccess(await place.run(args));
}

export function expectSuccess(outcome: Outcome): Outcome {
  if (outcome.code === 0) return outcome;
  throw new Error(`${outcome.command} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`);
}
