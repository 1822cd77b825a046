import { randomBytes } from 'node:crypto';
import type { Finding } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import type { Authenticator } from '../config/api-server-files.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';

/**
 * The issuers that the API server does not reach now. It is asked about a token that the issuer cannot have signed: to say no, it has
 * to look for the key.
 */
export async function unreachableIssuers(
  hosted: HostedCluster,
  issuers: Authenticator[],
  namespace: string,
): Promise<Finding[]> {
  const answers = await Promise.all(issuers.map(async (issuer) => ({ issuer, error: await tried(hosted, issuer) })));
  return answers.flatMap(({ issuer: { issuer }, error }): Finding[] => {
    const why = reachProblem(error);
    if (why === undefined) return [];
    return [
      {
        what: `the API server does not reach the issuer ${issuer.url}: nobody gets in by a new token of it, but certificates, service accounts and other issuers go on working`,
        why,
        fix: words`see whether it answers, and whether its name leads to an address that the API server's pod reaches; ${command('logs', namespace, 'gate')} says what the gate refused`,
        anchor: 'issuer-unreachable',
        severity: 'fatal',
      },
    ];
  });
}

/** What the API server says of an error that has nothing to do with keys is no problem of the issuer's. Pure. */
function reachProblem(error: string): string | undefined {
  if (/is not initialized/.test(error)) return 'it has not answered since the API server started or took it over';
  const [, cause] = /fetching keys (.*?)(?:\]?$|, )/s.exec(error) ?? [];
  return cause?.slice(0, 400);
}

async function tried(hosted: HostedCluster, { issuer }: Authenticator): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const audiences = Array.isArray(issuer.audiences) ? (issuer.audiences as string[]) : [];
  const token = [
    { alg: 'RS256', kid: `k8sk8s-${randomBytes(8).toString('hex')}` },
    { iss: issuer.url, aud: audiences[0] ?? 'k8sk8s', sub: 'k8sk8s-status', iat: now, exp: now + 60 },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata: { name: '' },
    spec: { token: [...token, randomBytes(256).toString('base64url')].join('.') },
  };
  const { status } = (await hosted.transport
    .request<{ status?: { error?: string } }>({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: review,
      retries: 0,
      timeout: 12_000,
    })
    .then(({ body }) => body)
    .catch(() => ({ status: undefined }))) as { status?: { error?: string } };
  return status?.error ?? '';
}
