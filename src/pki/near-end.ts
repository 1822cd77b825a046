import type { Finding } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import { daysLeft, type PkiBundle, warnBeforeDays } from './certificates.ts';
import { inspect } from './inspect.ts';
import { authorityRows } from './table.ts';

export interface Remaining {
  name: string;
  /** Negative after its end. */
  days: number;
}

/** How long each certificate of a plane is still valid, the first to expire first. Pure. */
export function remainingDays({ authorities, leaves }: PkiBundle, now: Date): Remaining[] {
  const signer = authorities.ca?.signer;
  return [
    ...Object.entries(authorities),
    ...(signer ? [['ca-signer', signer] as const] : []),
    ...Object.entries(leaves),
  ]
    .map(([name, { certificate }]) => ({ name, days: daysLeft(inspect(certificate), now) }))
    .sort((a, b) => a.days - b.days);
}

/** Whether a certificate is that of a CA, which deploy and certs renew keep. Pure. */
export const isAuthority = (name: string): boolean => authorityRows.some((row) => row.name === name);

/** Of those certificates what is to be told: one that has expired, and one that does so soon. Pure. */
export function nearTheirEnd(certificates: Remaining[], namespace: string): Finding[] {
  const sealed = words` with ${option('sealFile')}; kubelets and users lose access with it`;
  return certificates
    .filter(({ name, days }) => days < warnBeforeDays(name))
    .map(({ name, days }) => ({
      what: `certificate ${name} ${days < 0 ? 'has expired' : `expires in ${days} days`}`,
      fix: isAuthority(name)
        ? words`replace this CA while it is valid, with ${command('certs rotate-ca', namespace)}`
        : words`run ${command('deploy', namespace)} again${name === 'ca-signer' ? sealed : ''}`,
      anchor: 'certificate-expires',
      severity: days < 0 ? 'fatal' : 'warning',
    }));
}
