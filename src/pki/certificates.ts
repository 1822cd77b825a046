import { UserError } from '../base/errors.ts';
import { type Authority, unlocked } from './authority.ts';
import { type EncryptionProviders, firstEncryption } from './encryption.ts';
import { type CertificateFacts, inspect, isKeyPair, matches, signedBy } from './inspect.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf, type KeyType, type LeafRequest } from './issue.ts';
import { ensureSealed, type Sealing, signerDays } from './sealing.ts';
import type { ServiceAccountKeys } from './service-account.ts';
import {
  type AuthorityName,
  authorityRows,
  type CertificateContext,
  type LeafRow,
  leafRequest,
  leafRowsFor,
} from './table.ts';

export type { CertificateContext };

export interface PkiBundle {
  /** Each is what signs; `trusted` says what is trusted. */
  authorities: Record<string, Authority>;
  leaves: Record<string, Credential>;
  /** Its keys are empty when there are none yet. */
  serviceAccount: ServiceAccountKeys;
  /** What the API server encrypts by; absent on planes of a k8sk8s that did not encrypt. */
  encryption?: EncryptionProviders;
}

export interface EnsureOptions {
  /** For what is issued now; what is kept keeps its type. */
  keyType: KeyType;
  now?: Date;
  /** Leaves that are made anew whatever state they are in. */
  renew?: string[];
  /** Present where the key of the CA is to be kept sealed. */
  sealing?: Sealing;
}

export interface EnsuredCertificates {
  bundle: PkiBundle;
  /** Names of authorities and leaves, and `service-account`. */
  issued: string[];
  kept: string[];
  /** Leaves of `issued` that were as their row asks for, and why they were replaced all the same. */
  renewed: { name: string; daysLeft: number }[];
}

const SERVICE_ACCOUNT = 'service-account';
const DAY = 24 * 60 * 60 * 1000;
/** Days before its end from which on a leaf is renewed by deploy, and told as a problem until then. */
const renewBeforeDays = 30;

/** Days before its end from which on a certificate is told as a problem. Pure. */
export function warnBeforeDays(name: string): number {
  return name === 'ca-signer' ? signerDays / 2 : renewBeforeDays;
}

const RENEW_BEFORE = renewBeforeDays * DAY;

/**
 * Completes a plane's certificates. An existing authority and the service-account keys are always reused; a leaf is
 * kept while it is what its row of the table asks for and has more than 30 days to live; leaves of no row are dropped.
 * Pure but for randomness.
 *
 * @param existing what an earlier run left, as far as it got
 * @throws UserError when an existing authority or the service-account keys cannot be used: replacing them would lock
 * out every worker, person and pod of the plane
 */
export async function ensureCertificates(
  existing: PkiBundle | undefined,
  context: CertificateContext,
  options: EnsureOptions,
): Promise<EnsuredCertificates> {
  const now = options.now ?? new Date();
  const issueOptions = { keyType: options.keyType, now };
  const rows = leafRowsFor(context);
  const issued = new Set<string>();
  const renewed = new Map<string, number>();

  checkAuthorities(existing, rows, now);
  const authorities = new Map(
    authorityRows.map((row): [AuthorityName, Promise<Authority>] => {
      const present = existing?.authorities[row.name];
      if (present) return [row.name, Promise.resolve(present)];
      issued.add(row.name);
      // X.509 allows 64 characters in a common name.
      return [row.name, createAuthority(`${row.commonName} ${context.namespace}`.slice(0, 64), issueOptions)];
    }),
  );
  const ca = ensureSealed(await authorities.get('ca')!, options.sealing, { ...issueOptions, ...context });
  authorities.set('ca', ca);
  if ((await ca).signer !== existing?.authorities.ca?.signer) issued.add('ca-signer');
  const serviceAccount = existingServiceAccount(existing);
  if (!serviceAccount) issued.add(SERVICE_ACCOUNT);

  const ensureLeaf = async (row: LeafRow): Promise<[string, Credential]> => {
    const authority = signerOf(row, await authorities.get(row.authority)!);
    const request = leafRequest(row, context);
    const present = existing?.leaves[row.name];
    if (present && isAsAsked(present, request, authority)) {
      const facts = inspect(present.certificate);
      const renews = options.renew?.includes(row.name) ?? false;
      // Near its end without the key that renews it, it goes on until that end; status tells.
      const locked = authority.key === '' && facts.notAfter > now;
      if (!renews && (locked || livesLongEnough(facts, inspect(authority.certificate), now)))
        return [row.name, present];
      renewed.set(row.name, daysLeft(facts, now));
    }
    issued.add(row.name);
    return [row.name, await issueLeaf(unlocked(authority), request, issueOptions)];
  };
  const [authorityEntries, leafEntries, keys] = await Promise.all([
    Promise.all(
      [...authorities].map(async ([name, credential]): Promise<[string, Authority]> => [name, await credential]),
    ),
    Promise.all(rows.map(ensureLeaf)),
    serviceAccount ?? createKeyPair(options.keyType),
  ]);

  const names = [...authorityRows, ...rows].map((row) => row.name).concat(SERVICE_ACCOUNT, 'ca-signer');
  return {
    // An authority that the table does not know is kept too: it may be all that some client still trusts.
    bundle: {
      authorities: { ...existing?.authorities, ...Object.fromEntries(authorityEntries) },
      leaves: Object.fromEntries(leafEntries),
      serviceAccount: keys,
      // What a plane stored in plain text has to stay readable until `encrypt rotate` has written it anew.
      encryption: existing ? (existing.encryption ?? ['identity']) : firstEncryption(now),
    },
    issued: names.filter((name) => issued.has(name)),
    kept: names.filter((name) => !issued.has(name) && name !== 'ca-signer'),
    renewed: names.flatMap((name) => (renewed.has(name) ? [{ name, daysLeft: renewed.get(name)! }] : [])),
  };
}

/**
 * Who acts in the hosted cluster for us: an administrator whom RBAC cannot bind (system:masters), valid for an hour, held in
 * memory to grant the first rights there and written nowhere. Where the CA's key is sealed and was not opened, the
 * administrator of tls/kubeconfig, whose rights a ClusterRoleBinding gives.
 *
 * @throws UserError `seal-file` when that one is not there or has ended
 */
export async function administrator(bundle: PkiBundle, options: { now?: Date } = {}): Promise<Credential> {
  const ca = bundle.authorities.ca!;
  const { admin } = bundle.leaves;
  if (ca.key === '' && admin && inspect(admin.certificate).notAfter > (options.now ?? new Date())) return admin;
  const request: LeafRequest = {
    commonName: 'k8sk8s-deploy',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  };
  return issueLeaf(unlocked(ca), request, { keyType: 'ec', days: 1 / 24, now: options.now });
}

/** Who signs a leaf: while workers are told of a new authority, they are shown what the one before signs. */
function signerOf({ shownToWorkers }: LeafRow, authority: Authority): Credential {
  const { certificate, key } = authority.previous ?? {};
  return shownToWorkers && certificate !== undefined && key !== undefined ? { certificate, key } : authority;
}

function isAsAsked(leaf: Credential, request: LeafRequest, authority: Credential): boolean {
  const facts = tryInspect(leaf.certificate);
  if (!facts) return false;
  return (
    facts.commonName === request.commonName &&
    sameSet(facts.organizations, request.organizations ?? []) &&
    sameSet(facts.usages, request.usages) &&
    sameSet(facts.dnsNames, request.dnsNames ?? []) &&
    sameSet(facts.ipAddresses, request.ipAddresses ?? []) &&
    signedBy(leaf.certificate, authority.certificate) &&
    matches(leaf.certificate, leaf.key)
  );
}

/** Whole days until a certificate ends; negative once it has. */
export function daysLeft({ notAfter }: Pick<CertificateFacts, 'notAfter'>, now: Date): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / DAY);
}

/** A leaf that ends with its authority cannot be renewed for longer: another one would only restart the plane. */
function livesLongEnough(leaf: CertificateFacts, authority: CertificateFacts, now: Date): boolean {
  if (leaf.notBefore > now || leaf.notAfter <= now) return false;
  return leaf.notAfter.getTime() - now.getTime() > RENEW_BEFORE || leaf.notAfter >= authority.notAfter;
}

function checkAuthorities(existing: PkiBundle | undefined, rows: LeafRow[], now: Date): void {
  for (const { name } of authorityRows) {
    const authority = existing?.authorities[name];
    if (authority) checkAuthority(name, authority, now);
    else if (existing && rows.some((row) => row.authority === name && existing.leaves[row.name])) {
      throw new UserError({
        what: `the plane's authority ${name} is gone`,
        why: 'certificates that it signed are still there, so somebody or something has deleted it',
        fix: RESTORE,
        anchor: 'authority-missing',
      });
    }
  }
}

const RESTORE =
  'restore the Secrets of the plane from a backup; without one, destroy the plane and deploy it again, and let the workers join anew';

function checkAuthority(name: string, authority: Credential, now: Date): void {
  const facts = tryInspect(authority.certificate);
  const broken = !facts
    ? 'its certificate cannot be read'
    : !facts.isAuthority
      ? 'its certificate is not that of an authority'
      : authority.key !== '' && !matches(authority.certificate, authority.key)
        ? 'its key cannot be read or belongs to another certificate'
        : undefined;
  if (!facts || broken) {
    throw new UserError({
      what: `the plane's authority ${name} is broken`,
      why: broken,
      fix: RESTORE,
      anchor: 'authority-broken',
    });
  }
  if (facts.notAfter <= now) {
    throw new UserError({
      what: `the plane's authority ${name} has expired`,
      why: `it was valid until ${facts.notAfter.toISOString()}`,
      fix: 'check the clock of this machine; if it is right, destroy the plane and deploy it again, and let the workers join anew',
      anchor: 'authority-expired',
    });
  }
  if (facts.notBefore > now) {
    throw new UserError({
      what: `the plane's authority ${name} is not valid yet`,
      why: `it is valid from ${facts.notBefore.toISOString()} on, and this machine's clock says ${now.toISOString()}`,
      fix: 'set the clock of this machine',
      anchor: 'authority-expired',
    });
  }
}

function existingServiceAccount(existing: PkiBundle | undefined): PkiBundle['serviceAccount'] | undefined {
  const keys = existing?.serviceAccount;
  if (!keys || (keys.publicKey === '' && keys.privateKey === '')) return undefined;
  if (isKeyPair(keys.publicKey, keys.privateKey)) return keys;
  throw new UserError({
    what: "the plane's service-account keys are broken",
    why: 'the public and the private one do not belong together, or one of them cannot be read',
    fix: RESTORE,
    anchor: 'service-account-keys-broken',
  });
}

function tryInspect(certificate: string): CertificateFacts | undefined {
  try {
    return inspect(certificate);
  } catch {
    return undefined;
  }
}

function sameSet(left: string[], right: string[]): boolean {
  const a = new Set(left);
  const b = new Set(right);
  return a.size === b.size && [...a].every((each) => b.has(each));
}
