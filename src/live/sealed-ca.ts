import { armor, Decrypter, Encrypter, identityToRecipient } from 'age-encryption';
import { messageOf, UserError } from '../base/errors.ts';
import { readKeyFile } from '../base/key-file.ts';
import { option, type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Secret } from '../kube/objects.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { type Sealing, type SealKey, withKeys } from '../pki/sealing.ts';
import { readBundle } from '../plane/secrets.ts';

/** @param file the first line is the passphrase, or lines hold age identities. @throws UserError `seal-file`, `file-not-readable` */
export function readSealFile(file: string): SealKey {
  const { passphrase, identities } = readKeyFile(file, option('sealFile'));
  if (identities.length > 0) return { identities };
  if (passphrase) return { passphrase };
  throw bad(
    words`the first line of ${file} is empty (${option('sealFile')})`,
    undefined,
    'write the passphrase into it',
  );
}

/** How `ensureCertificates` is to keep the key of the CA. @throws UserError `seal-file` for a file of the other kind */
export function sealingOf({ seal }: Pick<ClusterSpec, 'seal'>, { sealKey }: InfraCluster): Sealing | undefined {
  if (seal === 'none') return undefined;
  if (!sealKey) return {};
  const kind = 'passphrase' in sealKey ? 'passphrase-file' : 'key-file';
  if (kind !== seal)
    throw bad(
      words`the file of ${option('sealFile')} ${kind === 'key-file' ? 'holds an age identity' : 'holds no age identity'}, and the plane is sealed by ${seal}`,
      undefined,
      seal === 'key-file'
        ? words`give a file as age-keygen writes it, or ${field('seal', 'passphrase-file')}`
        : words`give the passphrase, or ${field('seal', 'key-file')}`,
    );
  return { close: (text) => close(text, sealKey) };
}

/** As `readBundle`, with the key of the CA when it is sealed and what opens it was given. @throws UserError `seal-file` */
export async function readOpened({ sealKey }: InfraCluster, secrets: Secret[]): Promise<PkiBundle | undefined> {
  const bundle = readBundle(secrets);
  const ca = bundle?.authorities.ca;
  if (!bundle || !ca?.sealed || !sealKey) return bundle;
  return { ...bundle, authorities: { ...bundle.authorities, ca: withKeys(ca, await open(ca.sealed.text, sealKey)) } };
}

async function close(text: string, key: SealKey): Promise<string> {
  const encrypter = new Encrypter();
  if ('passphrase' in key) encrypter.setPassphrase(key.passphrase);
  else for (const identity of key.identities) encrypter.addRecipient(await identityToRecipient(identity));
  return armor.encode(await encrypter.encrypt(text));
}

async function open(text: string, key: SealKey): Promise<string> {
  const decrypter = new Decrypter();
  if ('passphrase' in key) decrypter.addPassphrase(key.passphrase);
  else for (const identity of key.identities) decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(armor.decode(text), 'text');
  } catch (error) {
    throw bad(
      words`the file of ${option('sealFile')} does not open the key of the plane's CA`,
      messageOf(error),
      'give the file with which the plane was sealed; when it is lost, no command brings the key back',
    );
  }
}

function bad(what: Words, why: string | undefined, fix: Words): UserError {
  return new UserError({ what, why, fix, anchor: 'seal-file', kind: 'refused' });
}
