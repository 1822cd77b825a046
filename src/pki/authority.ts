import { UserError } from '../base/errors.ts';
import { inspect } from './inspect.ts';
import { type Credential, createAuthority, type KeyType } from './issue.ts';

/** An authority of a plane, and what stands beside it while it is replaced. The credential itself is what signs. */
export interface Authority extends Credential {
  /** Trusted already, so that it can sign next. */
  next?: Credential;
  /** Trusted still. Its key is there as long as it signs what workers see of the API server. */
  previous?: { certificate: string; key?: string };
  /** When everybody had begun to use certificates of the present signer, RFC 3339; `pending` until that is so. */
  switched?: string;
  /**
   * Where the keys are kept: `text` is an age file with all keys of this authority, `opened` what it says, when somebody
   * opened it. Keys that were not opened are empty.
   */
  sealed?: { text: string; opened?: string };
  /** Signs what clients ask for in the cluster, in place of a sealed key. */
  signer?: Credential;
  /** Certificates, PEM, of those that were `signer` before; what they signed is accepted until they end. */
  formerSigners?: string;
}

/**
 * `added`: the next one is trusted and does not sign yet; `switched`: it signs, and the one before is still trusted. In
 * between, where workers have to be told, `held`: it signs all but what workers see of the API server.
 */
export type AuthorityStage = 'one' | 'added' | 'held' | 'switched';

export function authorityStageOf({ next, previous }: Authority): AuthorityStage {
  if (next) return 'added';
  if (!previous) return 'one';
  return previous.key === undefined ? 'switched' : 'held';
}

/**
 * All that is trusted, PEM, the oldest first: in that order a change of the signer alone leaves it as it is, and nobody
 * who reads it once has to be restarted for that.
 */
export function trusted({ certificate, previous, next }: Authority): string {
  return [previous?.certificate, certificate, next?.certificate].filter((each) => each !== undefined).join('');
}

/** All whose clients the API server lets in: what is trusted, and what signs and signed in place of it. */
export function trustedOfClients(authority: Authority): string {
  const { signer, formerSigners } = authority;
  return [trusted(authority), signer?.certificate, formerSigners].filter((each) => each !== undefined).join('');
}

/** The authority, whose key is at hand. @throws UserError `seal-file` while it is sealed */
export function unlocked<T extends Credential>(authority: T): T {
  if (authority.key === '') throw keyNeeded();
  return authority;
}

export function keyNeeded(): UserError {
  return new UserError({
    what: "this needs the key of the plane's CA, which is kept sealed",
    fix: 'add --seal-file FILE, or set K8SK8S_SEAL_FILE: the file with the passphrase or the age identity that it was sealed by',
    anchor: 'seal-file',
    kind: 'refused',
  });
}

/** Makes a fresh authority, of a name of its own, known beside the one that signs. */
export async function addNext(authority: Authority, keyType: KeyType, now?: Date): Promise<Authority> {
  return { ...authority, next: await createAuthority(nextName(authority.certificate), { keyType, now }) };
}

/** Lets the next one sign. @param hold whether the one before goes on signing what workers see of the API server */
export function switchSigner({ next, ...before }: Authority, hold: boolean): Authority {
  if (!next) return before;
  const { certificate, key } = before;
  return { ...next, ...besideKeys(before), previous: { certificate, ...(hold && { key }) }, switched: 'pending' };
}

/** Lets the one before sign nothing any more; it stays trusted. */
export function endHold({ previous, ...authority }: Authority): Authority {
  return { ...authority, ...(previous && { previous: { certificate: previous.certificate } }) };
}

/** The signer alone: whatever an earlier one signed is refused from then on. */
export function dropPrevious(authority: Authority): Authority {
  const { certificate, key } = authority;
  return { certificate, key, ...besideKeys(authority) };
}

/** What outlives a change of the authority: `ensureCertificates` sees to it that it fits. */
function besideKeys({ sealed, signer, formerSigners }: Authority): Partial<Authority> {
  return {
    ...(sealed && { sealed }),
    ...(signer && { signer }),
    ...(formerSigners !== undefined && { formerSigners }),
  };
}

/** `etcd-ca team-a` is followed by `etcd-ca team-a 2`: who looks at an issuer's name can tell them apart. */
function nextName(certificate: string): string {
  const [, name, number] = /^(.*?)(?: (\d+))?$/.exec(inspect(certificate).commonName)!;
  const suffix = ` ${Number(number ?? 1) + 1}`;
  return name!.slice(0, 64 - suffix.length) + suffix;
}
