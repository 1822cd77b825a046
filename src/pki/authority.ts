import { UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { inspect } from './inspect.ts';
import { type Credential, createAuthority, type KeyType } from './issue.ts';

/** A CA of a plane, with the CAs beside it during a rotation. The credential itself signs. */
export interface Authority extends Credential {
  /** Trusted already; it signs after the next switch. */
  next?: Credential;
  /** Still trusted. Its key exists as long as it signs the certificates that the API server shows to workers. */
  previous?: { certificate: string; key?: string };
  /** When every component had begun to use certificates of the present signer, RFC 3339; `pending` before. */
  switched?: string;
  /**
   * `text` is an age file with all keys of this CA; `opened` is its content, if this run could open it. Keys that were not
   * opened are empty strings.
   */
  sealed?: { text: string; opened?: string };
  /** The CA that signs the clients' requests in the cluster, because the key of the sealed CA is not there. */
  signer?: Credential;
  /** Certificates, PEM, of earlier `signer`s; the API server accepts what they signed until they expire. */
  formerSigners?: string;
}

/**
 * `added`: the next CA is trusted and does not sign yet. `switched`: it signs, and the previous CA is still trusted. For a CA
 * that workers trust there is a stage in between, `held`: the new CA signs all but what the API server shows to workers.
 */
export type AuthorityStage = 'one' | 'added' | 'held' | 'switched';

export function authorityStageOf({ next, previous }: Authority): AuthorityStage {
  if (next) return 'added';
  if (!previous) return 'one';
  return previous.key === undefined ? 'switched' : 'held';
}

/**
 * All trusted CA certificates, PEM, the oldest first. In this order the switch to another signer does not change the text, so
 * a program that reads it only at its start need not be restarted.
 */
export function trusted({ certificate, previous, next }: Authority): string {
  return [previous?.certificate, certificate, next?.certificate].filter((each) => each !== undefined).join('');
}

/** The CAs whose client certificates the API server accepts: the trusted ones, the present `signer` and the earlier ones. */
export function trustedOfClients(authority: Authority): string {
  const { signer, formerSigners } = authority;
  return [trusted(authority), signer?.certificate, formerSigners].filter((each) => each !== undefined).join('');
}

/** The same CA, after a check that its key is there. @throws UserError `seal-file` while the key is sealed */
export function unlocked<T extends Credential>(authority: T): T {
  if (authority.key === '') throw keyNeeded();
  return authority;
}

export function keyNeeded(): UserError {
  return new UserError({
    what: "this needs the key of the plane's CA, which is kept sealed",
    fix: words`add ${option('sealFile', 'FILE')}, or set K8SK8S_SEAL_FILE, with the passphrase or the age identity that sealed the key`,
    anchor: 'seal-file',
    kind: 'refused',
  });
}

/** Creates the next CA, with a name of its own; it becomes trusted beside the CA that signs. */
export async function addNext(authority: Authority, keyType: KeyType, now?: Date): Promise<Authority> {
  return { ...authority, next: await createAuthority(nextName(authority.certificate), { keyType, now }) };
}

/** Makes the next CA the signer. @param hold whether the previous CA still signs what the API server shows to workers */
export function switchSigner({ next, ...before }: Authority, hold: boolean): Authority {
  if (!next) return before;
  const { certificate, key } = before;
  return { ...next, ...besideKeys(before), previous: { certificate, ...(hold && { key }) }, switched: 'pending' };
}

/** The previous CA signs nothing any more, and stays trusted. */
export function endHold({ previous, ...authority }: Authority): Authority {
  return { ...authority, ...(previous && { previous: { certificate: previous.certificate } }) };
}

/** The signer alone: what an earlier CA signed is refused from then on. */
export function dropPrevious(authority: Authority): Authority {
  const { certificate, key } = authority;
  return { certificate, key, ...besideKeys(authority) };
}

/** The fields that survive the change of the CA; `ensureCertificates` updates them. */
function besideKeys({ sealed, signer, formerSigners }: Authority): Partial<Authority> {
  return {
    ...(sealed && { sealed }),
    ...(signer && { signer }),
    ...(formerSigners !== undefined && { formerSigners }),
  };
}

/** `etcd-ca team-a` is followed by `etcd-ca team-a 2`, so that an issuer's name tells which CA it was. */
function nextName(certificate: string): string {
  const [, name, number] = /^(.*?)(?: (\d+))?$/.exec(inspect(certificate).commonName)!;
  const suffix = ` ${Number(number ?? 1) + 1}`;
  return name!.slice(0, 64 - suffix.length) + suffix;
}
