import { UserError } from '../../base/errors.ts';
import { again, command, option, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Secret } from '../../kube/objects.ts';
import { openPlane, type Plane } from '../../live/open.ts';
import { markFinished, markUnfinished } from '../../live/record.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import { createKeyPair } from '../../pki/issue.ts';
import {
  addKey,
  dropOldKeys,
  type KeyStage,
  keyId,
  keyStageOf,
  type ServiceAccountKeys,
  switchKey,
  tokenKeyId,
} from '../../pki/service-account.ts';
import type { Component } from '../../plane/components/lookup.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { rollOut } from '../../rollout/roll-out.ts';
import type { Work } from '../../ui/work.ts';

export interface KeyStatus {
  stage: KeyStage;
  /** Whether a change of the key was begun and did not come to its end. */
  unfinished: boolean;
  /** What Kubernetes calls the key that signs. */
  signer: string;
  /** From when on no token of the key before lives any more; undefined while there is no such key, or it still signs. */
  oldKeyNeededUntil?: Date;
  /** Secrets of the hosted cluster with tokens of the key before, which never end: `namespace/name`. */
  endlessTokens: string[];
}

/** Where a change of the ServiceAccount tokens' key stands. */
export async function keyStatus(cluster: InfraCluster): Promise<KeyStatus> {
  return statusOf(await openPlane(cluster));
}

/** keyStatus of a plane that was read already. */
export async function statusOf(plane: Plane): Promise<KeyStatus> {
  const keys = plane.bundle.serviceAccount;
  const stage = keyStageOf(keys);
  const switched = stage === 'switched' ? keys.switched : undefined;
  return {
    stage,
    unfinished: stage !== 'one' || unfinishedKey(plane.record),
    signer: keyId(keys),
    ...(switched &&
      switched !== 'pending' && { oldKeyNeededUntil: new Date(Date.parse(switched) + longestTokenLife(plane.spec)) }),
    endlessTokens: stage === 'switched' ? await endlessTokens(plane, keyId(keys)) : [],
  };
}

/**
 * Changes the key that signs ServiceAccount tokens, in stages in which every token that lives stays valid: the new key is
 * made known to all API servers, then everybody signs by it, and when the last token of the old one has ended, a later run
 * drops that. Killed anywhere and run again, it goes on from there.
 *
 * @param dropNow drop the old key at once: tokens of it, those of running pods too, are refused from then on
 * @throws UserError `old-key-needed` when the old key cannot be dropped yet
 */
export async function rotateServiceAccountKey(cluster: InfraCluster, dropNow: boolean, work: Work): Promise<KeyStatus> {
  return withPlane(cluster, 'certs rotate-service-account-key', work, (plane) =>
    rotateServiceAccountKeyOf(plane, dropNow),
  );
}

/** rotateServiceAccountKey of a plane whose lock is held. */
export async function rotateServiceAccountKeyOf(plane: HeldPlane, dropNow: boolean): Promise<KeyStatus> {
  const { held } = plane;
  const { cluster, reporter, signal } = held;
  const reach = async (keys: ServiceAccountKeys, rolled: Component[]) => {
    signal.throwIfAborted();
    plane.bundle.serviceAccount = keys;
    await rollOut(cluster, plane, plane.bundle, rolled, held);
    return keys;
  };
  let keys = plane.bundle.serviceAccount;
  if (keyStageOf(keys) === 'one' && unfinishedKey(plane.record)) {
    reporter.line('an earlier change of the key was interrupted at its end; ending it');
    await reach(keys, ['kube-apiserver']);
    await markFinished(held, 'rotate-service-account-key');
    return statusOf(plane);
  }
  const before = keyStageOf(keys);
  if (before === 'one') {
    reporter.line('a new key is made known to the API servers; the old one still signs');
    keys = addKey(keys, await createKeyPair(plane.spec.keyType));
  }
  if (keyStageOf(keys) === 'added') {
    await reach(keys, ['kube-apiserver']);
    reporter.line('the new key signs from now on; tokens of the old one go on being accepted');
    keys = switchKey(keys);
  }
  if (keyStageOf(keys) === 'switched' && keys.switched === 'pending') {
    await reach(keys, ['kube-apiserver', 'kube-controller-manager']);
    keys = await reach({ ...keys, switched: new Date().toISOString() }, []);
  }
  // The first run ends here: that the old key is still needed is no failure of it.
  if (before !== 'switched' && !dropNow) return statusOf(plane);
  if (!dropNow) refuseWhileNeeded(await statusOf(plane), cluster.namespace);
  reporter.line('the old key is dropped: tokens of it are refused from now on');
  await markUnfinished(held, 'rotate-service-account-key');
  await reach(dropOldKeys(keys), ['kube-apiserver']);
  await markFinished(held, 'rotate-service-account-key');
  return statusOf(plane);
}

/** Whether a change of the key was interrupted at its last step. */
export function unfinishedKey({ unfinished }: Pick<PlaneRecord, 'unfinished'>): boolean {
  return unfinished?.['rotate-service-account-key'] !== undefined;
}

function refuseWhileNeeded({ oldKeyNeededUntil, endlessTokens }: KeyStatus, namespace: string): void {
  const wait = oldKeyNeededUntil && oldKeyNeededUntil > new Date();
  if (!wait && endlessTokens.length === 0) return;
  const shown = endlessTokens.slice(0, 5).join(', ');
  throw new UserError({
    what: 'the old key of ServiceAccount tokens cannot be dropped yet',
    why: wait
      ? `tokens that it signed may live until ${oldKeyNeededUntil.toISOString()}`
      : `${endlessTokens.length} Secrets hold tokens of it that never end: ${shown}${endlessTokens.length > 5 ? ', …' : ''}`,
    fix: wait
      ? words`run ${command('certs rotate-service-account-key', namespace)} again after that; ${option('dropNow')} drops it at once, and running pods lose the API until they are made anew`
      : words`give whoever uses them other tokens and delete those Secrets, then ${again}; ${option('dropNow')} drops the key all the same`,
    anchor: 'old-key-needed',
  });
}

/** Tokens in Secrets of the old kind; those of the present key were made since. */
async function endlessTokens(plane: Plane, signer: string): Promise<string[]> {
  const hosted = await plane.connect();
  try {
    const { items } = await hosted.list<Secret>(
      { apiVersion: 'v1', kind: 'Secret' },
      { fieldSelector: 'type=kubernetes.io/service-account-token' },
    );
    return items
      .filter(({ data }) => {
        const token = Buffer.from(data?.token ?? '', 'base64').toString('utf8');
        return token !== '' && tokenKeyId(token) !== signer;
      })
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  } finally {
    await hosted.close();
  }
}

const hour = 3_600_000;

/** Milliseconds that a token may live: what the template says, unless the person says otherwise. Pure. */
export function longestTokenLife({ apiServerArgs }: Pick<ClusterSpec, 'apiServerArgs'>): number {
  const given = (name: string) =>
    apiServerArgs.findLast((argument) => argument.replace(/^--/, '').startsWith(`${name}=`))?.split('=')[1];
  // Tokens of pods that Kubernetes lets live on for a year and seven seconds, whatever they say.
  const grace = given('service-account-extend-token-expiration') === 'true' ? 366 * 24 * hour : 0;
  const limit = given('service-account-max-token-expiration');
  return Math.max(grace, limit === undefined ? 24 * hour : goDuration(limit));
}

/** `48h`, `1h30m` in milliseconds; what has no limit, or none that can be read, lives a year. */
function goDuration(text: string): number {
  const units: Record<string, number> = { h: hour, m: 60_000, s: 1000 };
  const total = [...text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit!]!,
    0,
  );
  return total > 0 ? total : 366 * 24 * hour;
}
