import { dump, load } from 'js-yaml';
import { messageOf, UserError } from '../../../base/errors.ts';
import type { PkiBundle } from '../../../pki/certificates.ts';
import type { EncryptionKey, EncryptionProviders } from '../../../pki/encryption.ts';

/** In the API server's Secret, and beside the CAs, since without it nobody can read the hosted cluster's Secrets. */
export const encryptionFile = 'encryption.yaml';

/** What of the hosted cluster is encrypted in etcd. */
export const encryptedResources = ['secrets'];

type Provider = { secretbox: { keys: EncryptionKey[] } } | { identity: object };

interface EncryptionConfiguration {
  resources: { resources: string[]; providers: Provider[] }[];
}

/** The API server's --encryption-provider-config (https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/). Pure. */
export function encryptionConfiguration(providers: EncryptionProviders): string {
  const entries: Provider[] = [];
  for (const provider of providers) {
    const last = entries.at(-1);
    if (provider === 'identity') entries.push({ identity: {} });
    else if (last && 'secretbox' in last) last.secretbox.keys.push(provider);
    else entries.push({ secretbox: { keys: [provider] } });
  }
  const configuration: EncryptionConfiguration & { apiVersion: string; kind: string } = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: encryptedResources, providers: entries }],
  };
  return dump(configuration, { noRefs: true });
}

export function encryptionFiles({ encryption }: Pick<PkiBundle, 'encryption'>): Record<string, string> {
  return { [encryptionFile]: encryptionConfiguration(encryption ?? ['identity']) };
}

/**
 * The way back.
 *
 * @param text undefined on planes that have no such file
 * @throws UserError `encryption-keys-broken` for a text that is not one of ours: to write another one in its place would
 * make every Secret of the hosted cluster unreadable
 */
export function readEncryption(text: string | undefined): EncryptionProviders | undefined {
  if (text === undefined) return undefined;
  try {
    const { resources } = load(text) as EncryptionConfiguration;
    const providers = resources[0]!.providers.flatMap(
      (provider): EncryptionProviders => ('identity' in provider ? ['identity'] : provider.secretbox.keys),
    );
    if (providers.length === 0 || !providers.every(isUsable)) throw new Error('it names no key that can be used');
    return providers;
  } catch (error) {
    throw new UserError({
      what: "the plane's encryption keys cannot be read",
      why: `encryption.yaml in the Secret k8sk8s-ca was changed: ${messageOf(error)}`,
      fix: 'restore that Secret from a backup; without those keys nobody can read the Secrets of the hosted cluster',
      anchor: 'encryption-keys-broken',
      cause: error,
    });
  }
}

function isUsable(provider: EncryptionProviders[number]): boolean {
  return provider === 'identity' || Buffer.from(provider.secret, 'base64').length === 32;
}
