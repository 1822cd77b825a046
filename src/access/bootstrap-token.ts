import { randomInt } from 'node:crypto';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { Secret } from '../kube/objects.ts';

/** A token with which a new worker authenticates (https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/). */
export interface BootstrapToken {
  /** The public six characters; the Secret is called bootstrap-token-ID. */
  id: string;
  /** `ID.SECRET`; a secret. */
  token: string;
  expires: Date | undefined;
  description: string;
}

const kind = { apiVersion: 'v1', kind: 'Secret' };
const namespace = 'kube-system';
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Group of every client with such a token; src/hosted/addons/access.yaml grants its rights. */
const group = 'system:bootstrappers:k8sk8s';

/** `ID.SECRET`, which no API server knows yet. */
export function newToken(): string {
  return `${randomText(6)}.${randomText(16)}`;
}

/**
 * @param ttl milliseconds
 * @param token of newToken, where somebody has it already
 */
export async function createBootstrapToken(
  cluster: HostedCluster,
  ttl: number,
  description: string,
  token = newToken(),
): Promise<BootstrapToken> {
  const [id, secret] = token.split('.') as [string, string];
  const expires = new Date(Math.floor((Date.now() + ttl) / 1000) * 1000);
  await cluster.create<Secret & { stringData: Record<string, string> }>({
    ...kind,
    metadata: { name: `bootstrap-token-${id}`, namespace },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': secret,
      expiration: expires.toISOString().replace('.000Z', 'Z'),
      'usage-bootstrap-authentication': 'true',
      // Without the ConfigMap cluster-info (--kubeadm-token-discovery) nothing is signed.
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': group,
      description,
    },
  });
  return { id, token, expires, description };
}

/** All bootstrap tokens; expired ones are included until the controller-manager's token cleaner deletes them. */
export async function listBootstrapTokens(cluster: HostedCluster): Promise<BootstrapToken[]> {
  const { items } = await cluster.list<Secret>(kind, {
    namespace,
    fieldSelector: 'type=bootstrap.kubernetes.io/token',
  });
  return items.map((secret) => {
    const field = (name: string) => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
    const expiration = field('expiration');
    return {
      id: field('token-id'),
      token: `${field('token-id')}.${field('token-secret')}`,
      expires: expiration === '' ? undefined : new Date(expiration),
      description: field('description'),
    };
  });
}

/** @returns false when there was no such token */
export async function revokeBootstrapToken(cluster: HostedCluster, id: string): Promise<boolean> {
  return cluster.delete(kind, `bootstrap-token-${id}`, namespace);
}

/** Whether the API server still accepts a token. */
export async function isAccepted(cluster: HostedCluster, token: string): Promise<boolean> {
  const found = (await listBootstrapTokens(cluster)).find((each) => each.token === token);
  return found !== undefined && (found.expires === undefined || found.expires.getTime() > Date.now());
}

function randomText(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}
