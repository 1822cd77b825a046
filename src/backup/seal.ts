import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { Decrypter, Encrypter, identityToRecipient } from 'age-encryption';
import { messageOf, UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { damaged } from './archive.ts';
import { readBackupFile } from './file.ts';

/** How a backup is encrypted: with a passphrase, for recipients (age public keys), or not at all. */
export type Seal = { passphrase: string } | { recipients: string[] } | 'plaintext';

/** The keys that may open an encrypted backup. */
export interface Keys {
  passphrase?: string;
  /** `AGE-SECRET-KEY-1…`. */
  identities: string[];
}

/** First bytes of every age file (https://age-encryption.org/v1). */
const magic = 'age-encryption.org/v1';

/**
 * Encrypts a stream; the `age` tool can open the result too.
 *
 * @throws UserError `backup-key` for an invalid recipient
 */
export async function seal(content: Readable, how: Seal): Promise<Readable> {
  if (how === 'plaintext') return content;
  const encrypter = 'passphrase' in how ? new Encrypter() : encrypterFor(how.recipients);
  if ('passphrase' in how) encrypter.setPassphrase(how.passphrase);
  return fromWeb(await encrypter.encrypt(toWeb(content)));
}

function encrypterFor(recipients: string[]): Encrypter {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      throw notARecipient(recipient, error);
    }
  }
  return encrypter;
}

/** The message repeats only public keys: anything else may be a secret key. */
function notARecipient(recipient: string, error: unknown): UserError {
  const shown = recipient.startsWith('age1') ? `"${recipient}"` : 'the given value';
  return new UserError({
    what: words`${option('recipient')}: ${shown} is not an age public key`,
    why: recipient.startsWith('AGE-SECRET-KEY-') ? 'it is a secret key' : messageOf(error),
    fix: 'give the public key that age-keygen prints: age1…',
    anchor: 'backup-key',
    kind: 'usage',
  });
}

/** @throws UserError `backup-key` for an invalid recipient */
export function checkRecipients(recipients: string[]): void {
  encrypterFor(recipients);
}

/** The encryption for which these keys are the keys. */
export async function sealFor({ passphrase, identities }: Keys): Promise<Seal> {
  if (passphrase !== undefined) return { passphrase };
  return { recipients: await Promise.all(identities.map((identity) => identityToRecipient(identity))) };
}

export interface Opened {
  sealed: boolean;
  content: Readable;
}

/**
 * The content of a backup, encrypted or not. If an encrypted backup was changed or cut off, the stream ends with an error at
 * that point.
 *
 * @throws UserError `backup-key` when none of the keys opens it, `backup-damaged`, `file-not-readable`
 */
export async function openBackup(file: string, keys: Keys): Promise<Opened> {
  const { first, content } = readBackupFile(file, magic.length);
  if (first.toString('latin1') !== magic) return { sealed: false, content };
  try {
    return { sealed: true, content: await unseal(content, keys) };
  } catch (error) {
    content.destroy();
    throw error;
  }
}

async function unseal(content: Readable, keys: Keys): Promise<Readable> {
  if (keys.passphrase === undefined && keys.identities.length === 0)
    throw new UserError({
      what: 'the backup is encrypted',
      fix: words`add ${option('passphraseFile', 'FILE')} or ${option('identityFile', 'FILE')}`,
      anchor: 'backup-key',
      kind: 'usage',
    });
  const decrypter = new Decrypter();
  try {
    if (keys.passphrase !== undefined) decrypter.addPassphrase(keys.passphrase);
    for (const identity of keys.identities) decrypter.addIdentity(identity);
    const open = await decrypter.decrypt(toWeb(content));
    return Readable.from(untouched(fromWeb(open)), { objectMode: false });
  } catch (error) {
    if (!/no identity matched/.test(messageOf(error))) throw changed(error);
    throw new UserError({
      what: 'the backup cannot be opened with what was given',
      why: 'it was encrypted with another passphrase or for other recipients, or its first bytes are damaged',
      fix: 'give the passphrase or identity of this backup',
      anchor: 'backup-key',
      cause: error,
    });
  }
}

/** age authenticates each piece separately, so every byte before an error is right. */
async function* untouched(content: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of content) yield chunk as Buffer;
  } catch (error) {
    throw changed(error);
  }
}

function changed(error: unknown): UserError {
  return damaged(`it was changed or cut off after it was encrypted (${messageOf(error)})`, error);
}

function toWeb(stream: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;
}

function fromWeb(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as unknown as NodeReadableStream);
}
