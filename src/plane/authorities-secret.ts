import type { Authority } from '../pki/authority.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import type { Credential } from '../pki/issue.ts';
import { authorityRows } from '../pki/table.ts';

/*
 * The files of the Secret k8sk8s-ca: the plane's CAs and ServiceAccount keys, and where a change of them stands. No pod
 * mounts it but the controller-manager's, and of it only the signers.
 */

const names = authorityRows.map(({ name }) => name);
const nextKeyFile = 'service-account-next.key';
const switchedFile = 'service-account-switched';

/** Its files, but for what the API server's Secret has as well. Pure. */
export function authoritiesFiles(bundle: PkiBundle): Record<string, string> {
  return {
    ...Object.assign({}, ...names.map((name) => authorityFiles(name, bundle.authorities[name]!))),
    ...serviceAccountFiles(bundle),
    ...nextServiceAccountFiles(bundle),
  };
}

/** What its files say. The keys of a CA that is sealed are empty. Pure. */
export function readAuthorities(files: Record<string, string>): Pick<PkiBundle, 'authorities' | 'serviceAccount'> {
  const found = credentialsIn(files, names).map(([name, signer]) => [
    name,
    { ...signer, ...besideSigner(name, files) },
  ]);
  return {
    authorities: Object.fromEntries(found),
    serviceAccount: {
      publicKey: files['service-account.pub'] ?? '',
      privateKey: files['service-account.key'] ?? '',
      ...(files[nextKeyFile] !== undefined && { next: files[nextKeyFile] }),
      ...(files[switchedFile] !== undefined && { switched: files[switchedFile] }),
    },
  };
}

/** The certificates of these names that a Secret holds with their keys, or with a sealed one. Pure. */
export function credentialsIn(files: Record<string, string>, wanted: string[]): [string, Credential][] {
  return wanted.flatMap((name): [string, Credential][] => {
    const certificate = files[`${name}.crt`];
    const key = files[`${name}.key`] ?? (files[`${name}-sealed.age`] === undefined ? undefined : '');
    return certificate !== undefined && key !== undefined ? [[name, { certificate, key }]] : [];
  });
}

/** `NAME.crt` and `NAME.key`. */
export function pair(name: string, credential: Credential): [string, string][] {
  return [
    [`${name}.crt`, credential.certificate],
    [`${name}.key`, credential.key],
  ];
}

/** Of the API server's Secret, too. */
export function serviceAccountFiles(bundle: PkiBundle): Record<string, string> {
  return {
    'service-account.pub': bundle.serviceAccount.publicKey,
    'service-account.key': bundle.serviceAccount.privateKey,
  };
}

/** The signer and, while it is replaced, what stands beside it; nobody mounts that. */
function authorityFiles(name: string, authority: Authority): Record<string, string> {
  const { next, previous, switched, sealed, signer, formerSigners } = authority;
  return {
    ...(sealed ? sealedFiles(name, authority, sealed.text) : Object.fromEntries(pair(name, authority))),
    ...(next && !sealed && Object.fromEntries(pair(`${name}-next`, next))),
    ...(previous && { [`${name}-previous.crt`]: previous.certificate }),
    ...(previous?.key !== undefined && !sealed && { [`${name}-previous.key`]: previous.key }),
    ...(signer && Object.fromEntries(pair(`${name}-signer`, signer))),
    ...(formerSigners !== undefined && { [`${name}-former-signers.crt`]: formerSigners }),
    ...(switched !== undefined && { [`${name}-switched`]: switched }),
  };
}

/** Certificates without their keys, which are in the age file; of the one before it is noted whether that has its key. */
function sealedFiles(name: string, { certificate, next, previous }: Authority, text: string): Record<string, string> {
  return {
    [`${name}.crt`]: certificate,
    [`${name}-sealed.age`]: text,
    ...(next && { [`${name}-next.crt`]: next.certificate }),
    ...(previous?.key !== undefined && { [`${name}-previous-held`]: 'its key is in the age file' }),
  };
}

/** Keys that are sealed are empty. */
function besideSigner(name: string, files: Record<string, string>): Omit<Authority, 'certificate' | 'key'> {
  const file = (suffix: string) => files[`${name}-${suffix}`];
  const text = file('sealed.age');
  const [certificate, key] = [file('next.crt'), text === undefined ? file('next.key') : ''];
  const [previous, switched] = [file('previous.crt'), file('switched')];
  const previousKey = text === undefined ? file('previous.key') : file('previous-held') && '';
  const [signer, signerKey, formerSigners] = [file('signer.crt'), file('signer.key'), file('former-signers.crt')];
  return {
    ...(certificate !== undefined && key !== undefined && { next: { certificate, key } }),
    ...(previous !== undefined && {
      previous: { certificate: previous, ...(previousKey !== undefined && { key: previousKey }) },
    }),
    ...(switched !== undefined && { switched }),
    ...(text !== undefined && { sealed: { text } }),
    ...(signer !== undefined && signerKey !== undefined && { signer: { certificate: signer, key: signerKey } }),
    ...(formerSigners !== undefined && { formerSigners }),
  };
}

/** Where a change of the key stands; nobody mounts it. */
function nextServiceAccountFiles({ serviceAccount: { next, switched } }: PkiBundle): Record<string, string> {
  return {
    ...(next !== undefined && { [nextKeyFile]: next }),
    ...(switched !== undefined && { [switchedFile]: switched }),
  };
}
