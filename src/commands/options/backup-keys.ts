import type { Command } from 'commander';
import type { Keys, Seal } from '../../backup/seal.ts';
import { UserError } from '../../base/errors.ts';
import { readKeyFile } from '../../base/key-file.ts';
import { option } from '../../base/words.ts';
import { repeated } from './connection.ts';

/** How a backup that is made is closed. */
export interface SealOptions {
  passphraseFile?: string;
  recipient?: string[];
  plaintext?: boolean;
}

/** What a backup that is read is opened with. */
export interface KeyOptions {
  passphraseFile?: string;
  identityFile?: string;
}

export function addSealOptions(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'encrypt with the passphrase in its first line')
    .option('--recipient <AGE>', 'encrypt for an age public key; may be repeated', repeated)
    .option('--plaintext', 'do not encrypt: whoever reads the file owns the hosted cluster');
}

export function addKeyOptions(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'the passphrase that it was encrypted with, in its first line')
    .option('--identity-file <FILE>', "an age identity, as age-keygen's");
}

/**
 * @param or what else may be done, for the message
 * @throws UserError `backup-key` unless exactly one way was given
 */
export function sealOf({ passphraseFile, recipient, plaintext }: SealOptions, or = ''): Seal {
  const given = [passphraseFile, recipient, plaintext].filter((each) => each !== undefined);
  if (given.length !== 1)
    throw new UserError({
      what:
        given.length === 0
          ? 'a backup holds the keys of the whole hosted cluster, and nothing was given to encrypt it with'
          : 'only one of --passphrase-file, --recipient and --plaintext can be used',
      fix: `add --passphrase-file FILE, or --recipient age1… (age-keygen makes one), or --plaintext to go without${or}`,
      anchor: 'backup-key',
      kind: 'usage',
    });
  if (plaintext) return 'plaintext';
  return recipient ? { recipients: recipient } : { passphrase: passphraseIn(passphraseFile!) };
}

export function keysOf({ passphraseFile, identityFile }: KeyOptions): Keys {
  return {
    passphrase: passphraseFile === undefined ? undefined : passphraseIn(passphraseFile),
    identities: identityFile === undefined ? [] : identitiesIn(identityFile),
  };
}

function passphraseIn(file: string): string {
  const { passphrase } = readKeyFile(file, option('passphraseFile'));
  if (passphrase) return passphrase;
  throw new UserError({
    what: `the first line of ${file} is empty`,
    fix: 'write the passphrase into it',
    anchor: 'backup-key',
    kind: 'usage',
  });
}

function identitiesIn(file: string): string[] {
  const { identities } = readKeyFile(file, option('identityFile'));
  if (identities.length > 0) return identities;
  throw new UserError({
    what: `${file} holds no age identity`,
    fix: 'give a file as age-keygen writes it, with a line that begins with AGE-SECRET-KEY-1',
    anchor: 'backup-key',
    kind: 'usage',
  });
}
