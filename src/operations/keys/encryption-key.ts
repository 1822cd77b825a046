import pLimit from 'p-limit';
import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { admissionFix } from '../../hosted/admission.ts';
import { ApiError } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Workload } from '../../kube/objects.ts';
import { openPlane, type Plane } from '../../live/open.ts';
import { markFinished, markUnfinished } from '../../live/record.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import {
  type EncryptionProviders,
  type EncryptionStage,
  nextProviders,
  providerName,
  stageOf,
} from '../../pki/encryption.ts';
import { encryptedResources } from '../../plane/components/kube-apiserver/encryption-config.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { renderPlane } from '../../plane/render.ts';
import { configHashOf } from '../../plane/workloads.ts';
import { isRolledOut } from '../../rollout/available.ts';
import { rollOut } from '../../rollout/roll-out.ts';
import type { Phase } from '../../ui/reporter.ts';
import type { Work } from '../../ui/work.ts';

export interface EncryptionStatus {
  resources: string[];
  stage: EncryptionStage;
  /** What the API servers are to write by: a key's name or `plain text`. */
  writes: string;
  /** What they can read, the first of it what they write by. */
  reads: string[];
  /** Whether all API servers run with that. */
  inUse: boolean;
  /** Whether a change of key was begun and did not come to its end. */
  unfinished: boolean;
}

/** What a plane's Secrets are encrypted by. @throws UserError `no-plane` or `plane-incomplete` */
export async function encryptionStatus(cluster: InfraCluster): Promise<EncryptionStatus> {
  const plane = await openPlane(cluster);
  const providers = providersOf(plane);
  const reads = providers.map(providerName);
  return {
    resources: encryptedResources,
    stage: stageOf(providers),
    writes: reads[0]!,
    reads,
    inUse: await inUse(cluster, plane),
    unfinished: inBetween(providers) || unfinishedEncryption(plane.record),
  };
}

/**
 * Changes the key by which the hosted cluster's Secrets are encrypted in etcd, or encrypts those of a plane that did not.
 * Each step is stored before it is taken and taken by all API servers before the next: killed anywhere and run again, it
 * goes on from there, and at no moment does an API server meet a Secret that it cannot read.
 *
 * @returns the new key's name and how many Secrets were written anew
 */
export async function rotateEncryption(cluster: InfraCluster, work: Work): Promise<{ key: string; rewritten: number }> {
  return withPlane(cluster, 'encrypt rotate', work, rotateEncryptionOf);
}

/** rotateEncryption of a plane whose lock is held. */
export async function rotateEncryptionOf(plane: HeldPlane): Promise<{ key: string; rewritten: number }> {
  const { held } = plane;
  const { cluster, reporter, signal } = held;
  let providers = providersOf(plane);
  let rewritten = 0;
  const reach = async (next: EncryptionProviders) => {
    signal.throwIfAborted();
    providers = next;
    reporter.line(wordsOf(providers));
    if (stageOf(providers) === 'encrypted') await markUnfinished(held, 'encrypt-rotate');
    await rollOut(cluster, plane, { ...plane.bundle, encryption: providers }, ['kube-apiserver'], held);
    if (stageOf(providers) === 'promoted') rewritten = await rewriteAll(plane, held);
  };
  // What was interrupted at its very last step is ended; it is not the beginning of another change.
  const ending = stageOf(providers) === 'encrypted' && unfinishedEncryption(plane.record);
  if (ending || inBetween(providers)) {
    reporter.line('an earlier change of the key was interrupted; going on with it');
    await reach(providers);
  }
  if (!ending)
    do await reach(nextProviders(providers));
    while (inBetween(providers));
  await markFinished(held, 'encrypt-rotate');
  return { key: providerName(providers[0]!), rewritten };
}

/** Whether a change of key was interrupted at its last step. */
export function unfinishedEncryption({ unfinished }: Pick<PlaneRecord, 'unfinished'>): boolean {
  return unfinished?.['encrypt-rotate'] !== undefined;
}

function inBetween(providers: EncryptionProviders): boolean {
  return stageOf(providers) === 'added' || stageOf(providers) === 'promoted';
}

function providersOf(plane: Plane): EncryptionProviders {
  return plane.bundle.encryption ?? ['identity'];
}

function wordsOf(providers: EncryptionProviders): string {
  const [first, second] = providers.map(providerName);
  switch (stageOf(providers)) {
    case 'added':
      return `key ${second} is made known to the API servers, which still write by ${first}`;
    case 'promoted':
      return `the API servers write by key ${first}, and still read ${second}`;
    default:
      return `the API servers read and write by ${first} alone`;
  }
}

/** Whether the pods of the API server are all made with the plane's Secrets as they are. */
async function inUse(cluster: InfraCluster, plane: Plane): Promise<boolean> {
  const wanted = renderPlane(plane).workloads['kube-apiserver'];
  const now = await cluster.get<Workload>(wanted, wanted.metadata.name);
  return now !== undefined && configHashOf(now) === configHashOf(wanted) && isRolledOut(now);
}

async function rewriteAll(plane: Plane, { reporter, signal }: Work): Promise<number> {
  const kind = { apiVersion: 'v1', kind: 'Secret' };
  const hosted = await plane.connect();
  const rewrite = async (phase: Phase) => {
    const limit = pLimit(8);
    const names = await hosted.names(kind);
    let count = 0;
    await Promise.all(
      names.map(({ name, namespace }) =>
        limit(async () => {
          signal.throwIfAborted();
          if (await hosted.rewrite(kind, name, namespace)) phase.update(`${++count} of ${names.length}`);
        }),
      ),
    );
    return count;
  };
  try {
    return await reporter.during('Writing all Secrets anew', rewrite, (count) => `Secrets written anew: ${count}`);
  } catch (error) {
    throw error instanceof ApiError ? await notRewritten(hosted, error) : error;
  } finally {
    await hosted.close();
  }
}

/** A webhook or policy of the hosted cluster may stand in the way; the old key stays until it does not. */
async function notRewritten(hosted: HostedCluster, error: ApiError): Promise<UserError> {
  return new UserError({
    what: 'not all Secrets of the hosted cluster could be written anew, so the old key is still needed',
    why: `its API server answered ${error.status} ${error.reason}: ${error.message}`,
    fix: words`${(await admissionFix(hosted, error)) ?? 'allow it there'}; then run ${command('encrypt rotate')} again, it goes on from here`,
    anchor: 'secrets-not-rewritten',
    cause: error,
  });
}
