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
  /** By the name of the table: each is the CA that signs; `trusted` of authority.ts gives all that are trusted. */
  authorities: Record<string, Authority>;
  leaves: Record<string, Credential>;
  /** Its keys are empty when there are none yet. */
  serviceAccount: ServiceAccountKeys;
  /** The keys with which the API server encrypts hosted Secrets; absent on planes of a k8sk8s that did not encrypt. */
  encryption?: EncryptionProviders;
  /** The kubeconfig by which the API server asks an authorization webhook: it has keys, so a Secret alone holds it. */
  webhook?: string;
}

export interface EnsureOptions {
  /** For new certificates; existing ones keep their type. */
  keyType: KeyType;
  now?: Date;
  /** Names of leaf certificates to issue again, whatever their state is. */
  renew?: string[];
  /** Present when the key of the CA has to be sealed. */
  sealing?: Sealing;
}

export interface EnsuredCertificates {
  bundle: PkiBundle;
  /** Names of authorities and leaves, and `service-account`. */
  issued: string[];
  kept: string[];
  /** Leaf certificates of `issued` that matched their row, and were replaced because of their age. */
  renewed: { name: string; daysLeft: number }[];
}

const SERVICE_ACCOUNT = 'service-account';
const DAY = 24 * 60 * 60 * 1000;
/** Days before the expiry of a leaf certificate from which on deploy renews it and status reports a problem. */
const renewBeforeDays = 30;

/** Days before the expiry of a certificate from which on status reports a problem. Pure. */
export function warnBeforeDays(name: string): number {
  return name === 'ca-signer' ? signerDays / 2 : renewBeforeDays;
}

const RENEW_BEFORE = renewBeforeDays * DAY;

/**
 * Completes a plane's certificates. Existing CAs and service-account keys are always reused. A leaf certificate is reused
 * while it matches its row of the table and is valid for more than 30 days; a leaf certificate without a row is removed.
 * Pure but for randomness.
 *
 * @param existing what earlier runs have stored, perhaps only a part of it
 * @throws UserError when an existing CA or the service-account keys cannot be used: new ones would lock out every worker,
 * person and pod of the plane
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
      // Without the key that could renew it, a leaf certificate is used until it expires; status reports it.
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
    // A CA that the table does not know stays too: it may be the only one that some client still trusts.
    bundle: {
      authorities: { ...existing?.authorities, ...Object.fromEntries(authorityEntries) },
      leaves: Object.fromEntries(leafEntries),
      serviceAccount: keys,
      // What a plane stored in plain text has to stay readable until `encrypt rotate` has rewritten it.
      encryption: existing ? (existing.encryption ?? ['identity']) : firstEncryption(now),
      ...(existing?.webhook !== undefined && { webhook: existing.webhook }),
    },
    issued: names.filter((name) => issued.has(name)),
    kept: names.filter((name) => !issued.has(name) && name !== 'ca-signer'),
    renewed: names.flatMap((name) => (renewed.has(name) ? [{ name, daysLeft: renewed.get(name)! }] : [])),
  };
}

/**
 * The credential with which k8sk8s acts in the hosted cluster: an administrator in system:masters, whom RBAC cannot refuse, valid
 * for an hour and never stored. If the CA's key is sealed and was not opened, it is the administrator of tls/kubeconfig, whose
 * rights come from a ClusterRoleBinding.
 *
 * @throws UserError `seal-file` when that administrator does not exist or has expired
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

/** The CA that signs a leaf certificate. Until all workers trust a new CA, the previous one signs what they see. */
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

/** Whole days until a certificate expires; negative afterwards. */
export function daysLeft({ notAfter }: Pick<CertificateFacts, 'notAfter'>, now: Date): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / DAY);
}

/** A leaf certificate that expires with its CA cannot be renewed for longer: a new one would only restart the plane. */
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
        what: `the plane's CA ${name} is gone`,
        why: 'certificates that it signed still exist, so somebody has deleted it',
        fix: RESTORE,
        anchor: 'authority-missing',
      });
    }
  }
}

const RESTORE =
  'restore the Secrets of the plane from a backup; without a backup, destroy the plane, deploy it again and let the workers join again';

function checkAuthority(name: string, authority: Credential, now: Date): void {
  const facts = tryInspect(authority.certificate);
  const broken = !facts
    ? 'its certificate cannot be read'
    : !facts.isAuthority
      ? 'its certificate is not that of a CA'
      : authority.key !== '' && !matches(authority.certificate, authority.key)
        ? 'its key cannot be read or belongs to another certificate'
        : undefined;
  if (!facts || broken) {
    throw new UserError({
      what: `the plane's CA ${name} is broken`,
      why: broken,
      fix: RESTORE,
      anchor: 'authority-broken',
    });
  }
  if (facts.notAfter <= now) {
    throw new UserError({
      what: `the plane's CA ${name} has expired`,
      why: `it was valid until ${facts.notAfter.toISOString()}`,
      fix: 'check the clock of this machine; if it is right, destroy the plane, deploy it again and let the workers join again',
      anchor: 'authority-expired',
    });
  }
  if (facts.notBefore > now) {
    throw new UserError({
      what: `the plane's CA ${name} is not valid yet`,
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
