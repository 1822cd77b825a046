import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import type { UserEntry } from './decode.ts';
import { kubeconfigError } from './problem.ts';

/** An entry of a kubeconfig, and how messages name it. */
export interface NamedEntry<T> {
  entry: T;
  file: string;
  /** `cluster "x" of /path`. */
  where: string;
}

/** A user of a kubeconfig. */
export interface NamedUser extends NamedEntry<UserEntry> {
  name: string;
}

/** A path in a kubeconfig is meant from the kubeconfig's folder. */
export function fromFileOf({ file }: { file: string }, named: string): string {
  return path.resolve(path.dirname(file), named);
}

/**
 * Opens the file that a field names, if it names one.
 *
 * @throws UserError `infra-kubeconfig`
 */
export function openNamed<K extends string>(place: NamedEntry<Record<K, string>>, field: K): void {
  const named = place.entry[field];
  if (named === '') return;
  try {
    closeSync(openSync(fromFileOf(place, named), 'r'));
  } catch (error) {
    throw unreadable(place, field, error);
  }
}

/** The text of a field `x-data`, or of the file that its field `x` names; '' without both. */
export function textOf<K extends string>(place: NamedEntry<Record<K | `${K}-data`, string>>, field: K): string {
  const text = place.entry[`${field}-data`];
  const named = place.entry[field];
  if (text !== '' || named === '') return text;
  try {
    return readFileSync(fromFileOf(place, named), 'utf8');
  } catch (error) {
    throw unreadable(place, field, error);
  }
}

/** @throws UserError when the same thing is there twice */
export function refuseBoth<K extends string>(
  place: NamedEntry<Record<K, unknown>>,
  one: K,
  other: K,
  why?: string,
): void {
  const isSet = (field: K) => place.entry[field] !== '' && place.entry[field] !== false;
  if (!isSet(one) || !isSet(other)) return;
  throw kubeconfigError({
    what: `${place.where} has both ${one} and ${other}`,
    why: why ?? 'they say the same thing, and only one of them can count',
    fix: words`take one of them out of the file, or choose another context with ${option('context', 'NAME')}`,
  });
}

function unreadable({ where, file, entry }: NamedEntry<Record<string, string>>, field: string, error: unknown): Error {
  return kubeconfigError({
    what: `the ${field} of ${where} cannot be read`,
    why: messageOf(error),
    fix: `correct the path ${entry[field]}, which is meant from the folder of ${file}`,
    cause: error,
  });
}
