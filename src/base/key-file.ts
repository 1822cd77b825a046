import { readFileSync } from 'node:fs';
import { fileError } from './file-error.ts';
import { type OptionPart, words } from './words.ts';

/** What a file that a person keeps secret may mean. */
interface KeyFile {
  /** The first line; empty when there is none. */
  passphrase: string;
  /** The lines that are age identities (`AGE-SECRET-KEY-1…`), as `age-keygen` writes them between comments. */
  identities: string[];
}

/** @param by the option that named the file, for the message. @throws UserError `file-not-readable` */
export function readKeyFile(file: string, by: OptionPart): KeyFile {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split(/\r?\n/);
  } catch (error) {
    throw fileError('read', words`${file} (${by})`, error);
  }
  const identities = lines.map((line) => line.trim()).filter((line) => line.startsWith('AGE-SECRET-KEY-'));
  return { passphrase: lines[0] ?? '', identities };
}
