import { type Authority, keyNeeded, trusted, unlocked } from './authority.ts';
import { certificatesIn, inspect, matches, signedBy } from './inspect.ts';
import { issueClientAuthority, type KeyType } from './issue.ts';

/** What seals and opens the key of a plane's CA: a passphrase, or age identities (`AGE-SECRET-KEY-1…`). */
export type SealKey = { passphrase: string } | { identities: string[] };

/** How the key of a plane's CA is sealed. */
export interface Sealing {
  /** Encrypts a text; absent when this run got no passphrase or identity. */
  close?(text: string): Promise<string>;
}

interface Options {
  keyType: KeyType;
  now: Date;
  namespace: string;
}

/** Lifetime, in days, of the CA that signs client certificates in place of the sealed one. */
export const signerDays = 90;
const DAY = 24 * 60 * 60 * 1000;

/**
 * The CA in the form in which it is stored: sealed and with a second CA that signs in its place, or neither. Earlier second
 * CAs are accepted until they expire, or until the CA that signed them is removed.
 *
 * @throws UserError `seal-file` when that needs a key that was not opened
 */
export async function ensureSealed(ca: Authority, sealing: Sealing | undefined, options: Options): Promise<Authority> {
  const { sealed: _, signer, formerSigners = '', ...plain } = ca;
  const next = sealing ? await signerFor(ca, options) : undefined;
  const roots = certificatesIn(trusted(ca));
  const former = certificatesIn(formerSigners + (signer && signer !== next ? signer.certificate : '')).filter(
    (each) => inspect(each).notAfter > options.now && roots.some((root) => signedBy(each, root)),
  );
  const sealed = sealing ? await sealedKeys(ca, sealing) : undefined;
  if (!sealing) unlocked(ca);
  return {
    ...plain,
    ...(sealed && { sealed }),
    ...(next && { signer: next }),
    ...(former.length > 0 && { formerSigners: former.join('') }),
  };
}

/** From half of its lifetime on, a run that has the key replaces it. */
async function signerFor(ca: Authority, { keyType, now, namespace }: Options): Promise<Authority['signer']> {
  const { signer } = ca;
  if (signer && signedBy(signer.certificate, ca.certificate) && matches(signer.certificate, signer.key)) {
    const left = inspect(signer.certificate).notAfter.getTime() - now.getTime();
    if (left > (ca.key === '' ? 0 : (signerDays / 2) * DAY)) return signer;
  }
  const name = `kubernetes-signer ${namespace}`.slice(0, 64);
  return issueClientAuthority(unlocked(ca), name, { keyType, now, days: signerDays });
}

async function sealedKeys(ca: Authority, { close }: Sealing): Promise<NonNullable<Authority['sealed']>> {
  const all = [ca, ca.next, ca.previous].flatMap((each) => (each?.key === undefined ? [] : each.key));
  if (ca.sealed && ca.sealed.opened === undefined && all.every((key) => key === '')) return ca.sealed;
  const opened = all.join('');
  if (all.includes('')) throw keyNeeded();
  if (ca.sealed?.opened === opened) return ca.sealed;
  if (!close) throw keyNeeded();
  return { text: await close(opened), opened };
}

/** The CA with its keys out of the content of its age file. Pure. */
export function withKeys(ca: Authority, opened: string): Authority {
  const keys = opened.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?/g) ?? [];
  const keyOf = (certificate: string) => keys.find((key) => matches(certificate, key)) ?? '';
  const opens = <T extends { certificate: string; key?: string }>(each: T | undefined) =>
    each?.key === undefined ? each : { ...each, key: keyOf(each.certificate) };
  return {
    ...ca,
    key: keyOf(ca.certificate),
    ...(ca.next && { next: opens(ca.next) }),
    ...(ca.previous && { previous: opens(ca.previous) }),
    sealed: { text: ca.sealed!.text, opened },
  };
}
