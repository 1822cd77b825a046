import { randomBytes } from 'node:crypto';

/** A key of secretbox (XSalsa20-Poly1305), with which the API server encrypts what it writes into etcd. */
export interface EncryptionKey {
  /** `key2-20261125`: its number and the day of its creation. In etcd it precedes every value that the key encrypted. */
  name: string;
  /** 32 bytes in base64. */
  secret: string;
}

/** The keys with which the API server reads, in this order; it writes with the first. `identity` is plain text. */
export type EncryptionProviders = (EncryptionKey | 'identity')[];

/**
 * The stage of a change of the key. `added`: API servers know the new key and write with the old one. `promoted`: they write
 * with the new one, and Secrets under the old one are being rewritten.
 */
export type EncryptionStage = 'plain' | 'encrypted' | 'added' | 'promoted';

/** For a new plane: it never stored plain text, so its API server need not read any. */
export function firstEncryption(now = new Date()): EncryptionProviders {
  return [createKey(1, now)];
}

export function stageOf(providers: EncryptionProviders): EncryptionStage {
  const [first, second] = providers;
  if (second === undefined) return first === 'identity' ? 'plain' : 'encrypted';
  return numberOf(second) > numberOf(first!) ? 'added' : 'promoted';
}

/**
 * The providers after the next step to a new key: the new key is added as the second, becomes the first, and the old key is
 * removed. Take a step only when all API servers use the step before; then none reads a value that it cannot decrypt.
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
