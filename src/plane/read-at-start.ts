import type { Secret } from '../kube/objects.ts';
import { inspect } from '../pki/inspect.ts';

/*
 * What of a Secret a program reads only at its start. A certificate that was renewed, of the same names and the same issuer,
 * is not of that kind: all components read theirs again by themselves, within two minutes of the Secret's change.
 */

/** Whether a file of a Secret is a certificate, or a key that has its certificate beside it. Pure. */
export function isCertificate(file: string, { data = {} }: Pick<Secret, 'data'>): boolean {
  return file.endsWith('.crt') || (file.endsWith('.key') && data[file.replace(/key$/, 'crt')] !== undefined);
}

/** A Secret with the wanted ones of its files. */
export function withFiles(secret: Secret, wanted: (file: string) => boolean): Secret {
  return { ...secret, data: Object.fromEntries(Object.entries(secret.data ?? {}).filter(([file]) => wanted(file))) };
}

/**
 * Secrets in which a certificate that has its key beside it stands as what it says, not as what it is. Pure.
 *
 * @param readOnce files of certificates that their program does not read again
 */
export function readAtStart(secrets: Secret[], readOnce: string[] = []): Secret[] {
  return secrets.map((secret) => withoutRenewals(secret, readOnce));
}

function withoutRenewals(secret: Secret, readOnce: string[]): Secret {
  const data = secret.data ?? {};
  const isLeaf = (file: string) =>
    /\.(crt|key)$/.test(file) &&
    !readOnce.includes(file) &&
    data[file.replace(/\.key$/, '.crt')] !== undefined &&
    data[file.replace(/\.crt$/, '.key')] !== undefined;
  const entries = Object.entries(data).flatMap(([file, value]): [string, string][] => {
    if (!isLeaf(file)) return [[file, value]];
    return file.endsWith('.key') ? [] : [[file, identityOf(Buffer.from(value, 'base64').toString('utf8'))]];
  });
  return { ...secret, data: Object.fromEntries(entries) };
}

function identityOf(certificate: string): string {
  const { commonName, organizations, issuer, dnsNames, ipAddresses, usages } = inspect(certificate);
  return JSON.stringify([commonName, organizations, issuer, dnsNames, ipAddresses, usages]);
}
