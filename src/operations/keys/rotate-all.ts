import { listBootstrapTokens, revokeBootstrapToken } from '../../access/bootstrap-token.ts';
import { checkFiles, writeFiles } from '../../access/files.ts';
import { UserError } from '../../base/errors.ts';
import { again, command, option, words } from '../../base/words.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Held } from '../../live/held.ts';
import { openPlane, type Plane } from '../../live/open.ts';
import { updateRecord } from '../../live/record.ts';
import { type HeldPlane, openHeld, withPlane } from '../../live/with-plane.ts';
import { trusted, unlocked } from '../../pki/authority.ts';
import { providerName } from '../../pki/encryption.ts';
import { certificatesIn, fingerprint } from '../../pki/inspect.ts';
import { keyIds } from '../../pki/service-account.ts';
import type { AuthorityName } from '../../pki/table.ts';
import type { Exposed } from '../../plane/record.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { rotateEncryptionOf, unfinishedEncryption } from './encryption-key.ts';
import { rotateAuthoritiesOf } from './rotate-ca/rotate-ca.ts';
import type { RotationRequest } from './rotate-ca/rotation.ts';
import { statusOf as authoritiesOf, rotatable } from './rotate-ca/rotation-status.ts';
import { statusOf as keyStatusOf, rotateServiceAccountKeyOf, unfinishedKey } from './service-account-key.ts';

/** How far one of the things that were exposed has come. */
interface ExposedPart {
  /** An authority's name, `encryption-key`, `service-account-key` or `bootstrap-tokens`. */
  name: string;
  /** `exposed`: what was read is still all that is used; `between`: another one is used, and what was read still accepted. */
  state: 'exposed' | 'between' | 'replaced';
}

export interface ExposedStatus {
  /** Since when what was exposed is being replaced, RFC 3339; undefined when nothing is. */
  since?: string;
  parts: ExposedPart[];
}

/** How far the namespace's plane has come. @throws UserError `no-plane` or `plane-incomplete` */
export async function exposedStatus(cluster: InfraCluster): Promise<ExposedStatus> {
  return statusOf(await openPlane(cluster));
}

type Subject = Pick<Plane, 'bundle' | 'record'>;

/** Pure. */
export function statusOf({ bundle, record }: Subject): ExposedStatus {
  const { exposed } = record;
  if (!exposed) return { parts: [] };
  const part = (name: string, inUse: string | undefined, accepted: string[], known: string[], ending: boolean) => ({
    name,
    state: known.includes(inUse ?? '')
      ? ('exposed' as const)
      : ending || accepted.some((each) => known.includes(each))
        ? ('between' as const)
        : ('replaced' as const),
  });
  const providers = providersOf(bundle);
  const keys = keyIds(bundle.serviceAccount);
  return {
    since: exposed.since,
    parts: [
      part('encryption-key', providers[0], providers, exposed.encryptionKeys, unfinishedEncryption(record)),
      part('service-account-key', keys[0], keys, exposed.serviceAccountKeys, unfinishedKey(record)),
      ...authoritiesOf({ bundle, record }).map(({ name, next }) => {
        const authority = bundle.authorities[name]!;
        const all = certificatesIn(trusted(authority)).map(fingerprint);
        return part(name, fingerprint(authority.certificate), all, exposed.authorities, next !== undefined);
      }),
      { name: 'bootstrap-tokens', state: 'exposed' },
    ],
  };
}

/** The public names of all that the plane's Secrets hold. Pure. @param since RFC 3339 */
export function exposedNow({ bundle }: Pick<Plane, 'bundle'>, since: string): Exposed {
  return {
    since,
    authorities: rotatable.flatMap((name) => certificatesIn(trusted(bundle.authorities[name]!)).map(fingerprint)),
    serviceAccountKeys: keyIds(bundle.serviceAccount),
    encryptionKeys: providersOf(bundle),
  };
}

function providersOf({ encryption }: Plane['bundle']): string[] {
  return (encryption ?? ['identity']).map(providerName);
}

type ExposedRequest = Omit<RotationRequest, 'names'>;

/**
 * Replaces all keys that the plane's Secrets held when this was begun, by the same stages as the commands for each of them:
 * nobody is locked out who was told in time. What was exposed is noted by its public names before anything else, and what is
 * still among that is what is left to do; so killed anywhere and run again, it goes on from there. Two runs, and a visit to
 * every worker after each, since workers know two of the authorities. The lock is held from the first step to the last.
 *
 * @returns how far it has come; with no parts when all is replaced
 * @throws UserError what the single commands throw, `data-loss` before anything is changed
 */
export async function rotateExposed(
  cluster: InfraCluster,
  request: ExposedRequest,
  work: Work,
): Promise<ExposedStatus> {
  return withPlane(cluster, 'certs rotate-exposed', work, async (plane) => {
    const { held } = plane;
    await begin(plane, request);
    await replaceWhile(held, isIn('encryption-key', 'exposed', 'between'), rotateEncryptionOf);
    await replaceWhile(held, isIn('service-account-key', 'exposed'), (now) => rotateServiceAccountKeyOf(now, false));
    if (!(await replaceAuthorities(held, request))) return statusOf(await openHeld(held));
    // Pods that were told of the new authorities began since the new key signs, so none of them has a token of the old one.
    await dropServiceAccountKey(await openHeld(held), request);
    await end(await openHeld(held), request);
    return statusOf(await openHeld(held));
  });
}

/**
 * Runs the step until nothing is left for it, each time on the plane as the step before has left it: a change that an earlier
 * run did not finish ends first, and the next step begins the one that replaces what was exposed.
 */
async function replaceWhile(
  held: Held,
  isLeft: (plane: HeldPlane) => boolean,
  step: (plane: HeldPlane) => Promise<unknown>,
): Promise<void> {
  const { timeout, signal } = held;
  await waitFor({
    until: async () => {
      const plane = await openHeld(held);
      if (!isLeft(plane)) return true;
      await step(plane);
      return !isLeft(await openHeld(held));
    },
    every: 0,
    timeout,
    signal,
    late: (after) =>
      new UserError({
        what: `not all exposed keys were replaced within ${after}`,
        why: 'the steps that were made succeeded, and more of them are left',
        fix: words`${again}, it goes on where it stopped`,
        anchor: 'keys-exposed',
      }),
  });
}

const isIn =
  (name: string, ...states: ExposedPart['state'][]) =>
  (plane: HeldPlane) =>
    statusOf(plane).parts.some((part) => part.name === name && states.includes(part.state));

async function begin(plane: HeldPlane, { force, files }: ExposedRequest): Promise<void> {
  const { reporter } = plane.held;
  unlocked(plane.bundle.authorities.ca!);
  checkFiles(files, trusted(plane.bundle.authorities.ca!));
  const { since, parts } = statusOf(plane);
  const etcd = parts.some(({ name, state }) => name.startsWith('etcd-') && state !== 'replaced');
  if (!force && plane.storage.kind === 'ephemeral' && (etcd || since === undefined)) throw wouldLoseData();
  if (since !== undefined) {
    reporter.line(`going on with what was begun at ${since}`);
    return;
  }
  reporter.line('all keys of the plane are replaced; new ones lie in the same Secrets, so whoever should not');
  reporter.line('read them must have lost the right to do so before');
  const exposed = exposedNow(plane, new Date().toISOString());
  await updateRecord(plane.held, (record) => ({ ...record, exposed }));
}

/** @returns false while workers and people have to be told before the old ones go */
async function replaceAuthorities(held: Held, request: ExposedRequest): Promise<boolean> {
  let untold = false;
  await replaceWhile(
    held,
    (plane) => !untold && exposedAuthorities(plane).length > 0,
    async (plane) => {
      const after = await rotateAuthoritiesOf(plane, { ...request, names: exposedAuthorities(plane) });
      untold = after.some(({ stage }) => stage !== 'one');
    },
  );
  return !untold;
}

function exposedAuthorities(plane: Subject): AuthorityName[] {
  const left = statusOf(plane).parts.filter(({ state }) => state !== 'replaced');
  return rotatable.filter((name) => left.some((part) => part.name === name));
}

async function dropServiceAccountKey(plane: HeldPlane, { force, agree }: ExposedRequest): Promise<void> {
  const { unfinished, endlessTokens } = await keyStatusOf(plane);
  if (!unfinished) return;
  if (!force && endlessTokens.length > 0)
    await agree(
      'drop the old key of ServiceAccount tokens',
      `Tokens in these Secrets are refused from then on, until they are made anew: ${endlessTokens.join(', ')}.`,
    );
  await rotateServiceAccountKeyOf(plane, true);
}

/** Tokens of workers could be read until the old authority was dropped, and are replaced after that. */
async function end({ held, ...plane }: HeldPlane, { files }: ExposedRequest): Promise<void> {
  const { reporter, signal } = held;
  const { spec, addresses, bundle } = plane;
  const hosted = await plane.connect();
  try {
    const tokens = await listBootstrapTokens(hosted);
    for (const { id } of tokens) {
      signal.throwIfAborted();
      await revokeBootstrapToken(hosted, id);
    }
    reporter.line(`bootstrap tokens revoked: ${tokens.length}`);
    await writeFiles({ ...files, renewToken: true, spec, addresses, bundle, hosted, reporter });
  } finally {
    await hosted.close();
  }
  await updateRecord(held, (record) => ({ ...record, exposed: undefined }));
}

function wouldLoseData(): UserError {
  return new UserError({
    what: 'new CAs for etcd replace its pod, and all objects of the hosted cluster would be lost with it',
    why: 'the plane keeps its data in that pod (ephemeral storage)',
    fix: words`add ${option('yes')} when nothing in the hosted cluster is worth keeping, and run ${command('deploy')} after the first run; or destroy the plane and deploy it again, which ends everything that was exposed, too`,
    anchor: 'data-loss',
    kind: 'refused',
  });
}
