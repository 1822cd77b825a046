import { createHash, createPublicKey } from 'node:crypto';

/** The keys of ServiceAccount tokens, PEM: one signs, and API servers accept the tokens of all. */
export interface ServiceAccountKeys {
  /** SPKI, one block after the other: the signer's first. */
  publicKey: string;
  /** PKCS#8 of the signer. */
  privateKey: string;
  /** PKCS#8 of a key that API servers accept already, and that signs after the next switch. */
  next?: string;
  /** When every component had begun to sign with the present key, RFC 3339; `pending` before. */
  switched?: string;
}

/** `added`: the next key is accepted and does not sign yet; `switched`: it signs, and tokens of the previous key are still accepted. */
export type KeyStage = 'one' | 'added' | 'switched';

export function keyStageOf(keys: ServiceAccountKeys): KeyStage {
  // With one key no change is under way, whatever somebody has left beside it by hand.
  if (blocksOf(keys.publicKey).length < 2) return 'one';
  if (keys.next !== undefined) return 'added';
  return keys.switched === undefined ? 'one' : 'switched';
}

/** Adds a fresh key to the accepted ones. */
export function addKey(keys: ServiceAccountKeys, fresh: { publicKey: string; privateKey: string }): ServiceAccountKeys {
  return { ...keys, publicKey: keys.publicKey + fresh.publicKey, next: fresh.privateKey };
}

/** Makes the added key the signer. */
export function switchKey({ publicKey, privateKey, next }: ServiceAccountKeys): ServiceAccountKeys {
  if (next === undefined) return { publicKey, privateKey };
  const signer = createPublicKey(next).export({ type: 'spki', format: 'pem' }).toString();
  const others = blocksOf(publicKey).filter((block) => block !== signer);
  return { publicKey: [signer, ...others].join(''), privateKey: next, switched: 'pending' };
}

/** The signer alone: tokens of any other key are refused from then on. */
export function dropOldKeys({ publicKey, privateKey }: ServiceAccountKeys): ServiceAccountKeys {
  return { publicKey: blocksOf(publicKey)[0] ?? publicKey, privateKey };
}

/** The `kid` of every key whose tokens are accepted, the signer's first. */
export function keyIds({ publicKey }: ServiceAccountKeys): string[] {
  return blocksOf(publicKey).map((each) => keyId({ publicKey: each }));
}

/** The `kid` by which Kubernetes marks tokens of the signer: SHA-256 of its SPKI, base64url. */
export function keyId({ publicKey }: Pick<ServiceAccountKeys, 'publicKey'>): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64url');
}

/** The `kid` of a token; undefined when it is not a JWT. */
export function tokenKeyId(token: string): string | undefined {
  try {
    return (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8')) as { kid?: string }).kid;
  } catch {
    return undefined;
  }
}

function blocksOf(pem: string): string[] {
  return pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?/g) ?? [];
}
