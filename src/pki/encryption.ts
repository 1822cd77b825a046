import { randomBytes } from 'node:crypto';

/** A key of secretbox (XSalsa20-Poly1305), with which the API server encrypts what it writes into etcd. */
export interface EncryptionKey {
  /** `key2-20261125`: its number and the day on which it was made. Stands before every value that it encrypted. */
  name: string;
  /** 32 bytes in base64. */
  secret: string;
}

/** What the API server may read by, in this order; it writes by the first. `identity` is plain text. */
export type EncryptionProviders = (EncryptionKey | 'identity')[];

/**
 * Where a change of key stands. `added`: API servers know the new key and write by the old one; `promoted`: they write by
 * the new one, and what is stored by the old one is being rewritten.
 */
export type EncryptionStage = 'plain' | 'encrypted' | 'added' | 'promoted';

/** A new plane's: nothing was ever stored in plain text, so nothing has to be read so. */
export function firstEncryption(now = new Date()): EncryptionProviders {
  return [createKey(1, now)];
}

export function stageOf(providers: EncryptionProviders): EncryptionStage {
  const [first, second] = providers;
  if (second === undefined) return first === 'identity' ? 'plain' : 'encrypted';
  return numberOf(second) > numberOf(first!) ? 'added' : 'promoted';
}

/**
 * The providers one step further on the way to a new key: added behind, brought to the front, the old one dropped. Every
 * step may be taken once all API servers work by the one before: then none meets a value that it cannot read.
 */
export function nextProviders(providers: EncryptionProviders, now = new Date()): EncryptionProviders {
  const [first, second] = providers;
  switch (stageOf(providers)) {
    case 'added':
      return [second!, first!];
    case 'promoted':
      return [first!];
    default:
      return [first!, createKey(numberOf(first!) + 1, now)];
  }
}

/** `key2-20261125`, or `plain text`. */
export function providerName(provider: EncryptionProviders[number]): string {
  return provider === 'identity' ? 'plain text' : provider.name;
}

function createKey(number: number, now: Date): EncryptionKey {
  const day = now.toISOString().slice(0, 10).replaceAll('-', '');
  return { name: `key${number}-${day}`, secret: randomBytes(32).toString('base64') };
}

function numberOf(provider: EncryptionProviders[number]): number {
  return provider === 'identity' ? 0 : Number(/^key(\d+)-/.exec(provider.name)?.[1] ?? 0);
}
