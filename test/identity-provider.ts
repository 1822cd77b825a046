import { createSign, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import Provider from 'oidc-provider';
import { type Credential, createAuthority, issueLeaf } from '../src/pki/issue.ts';
import { freePort } from './free-port.ts';

/*
 * A real OpenID Connect provider, with TLS by its own CA. Good tokens come by its code flow; a test signs bad ones with its key.
 */

export const clientId = 'kubernetes';
const secret = 'of-the-test';
const redirect = 'https://kubelogin.test/callback';

/** Who may log in, by the groups that the provider says. */
type Accounts = Record<string, string[]>;

/** A key of a provider. */
export interface SigningKey {
  kid: string;
  key: KeyObject;
}

export function signingKey(): SigningKey {
  return { kid: randomUUID(), key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey };
}

export interface IdentityProvider {
  issuer: string;
  port: number;
  ca: string;
  signing: SigningKey;
  /** An ID token by a real code flow. */
  login(account: string): Promise<string>;
  stop(): Promise<void>;
}

export interface ProviderOptions {
  accounts: Accounts;
  /** An address or name of this machine; the certificate is for it. */
  host: string;
  port?: number;
  authority?: Credential;
  signing?: SigningKey;
  /** Where its discovery document says that its keys are; default: at itself. */
  jwksUri?: string;
  /** What it answers to a path in its own place. */
  instead?: (url: string) => { status: number; headers?: Record<string, string>; body?: string } | undefined;
}

export async function startProvider(options: ProviderOptions): Promise<IdentityProvider> {
  const { host, accounts, instead } = options;
  const authority = options.authority ?? (await createAuthority('identity provider'));
  const signing = options.signing ?? signingKey();
  const names = /^[\d.]+$/.test(host) ? { ipAddresses: [host] } : { dnsNames: [host] };
  const { certificate: cert, key } = await issueLeaf(authority, {
    commonName: 'identity provider',
    usages: ['serverAuth'],
    ...names,
  });
  const server = https.createServer({ cert, key });
  // A test may end it and begin it anew at the same port.
  const port = options.port ?? (await freePort('0.0.0.0'));
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
  const issuer = `https://${host}:${port}`;
  const provider = new Provider(issuer, configuration(accounts, signing, options.jwksUri));
  const answer = provider.callback();
  server.on('request', async (request, response) => {
    const given = instead?.(request.url ?? '');
    if (given) return response.writeHead(given.status, given.headers).end(given.body);
    if (!request.url?.startsWith('/interaction/')) return answer(request, response);
    try {
      const { prompt, params } = await provider.interactionDetails(request, response);
      const accountId = String(request.headers['x-account']);
      if (prompt.name === 'login')
        return await provider.interactionFinished(request, response, { login: { accountId } });
      const grant = new provider.Grant({ accountId, clientId: params.client_id });
      grant.addOIDCScope('openid groups email');
      await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  return {
    issuer,
    port,
    ca: authority.certificate,
    signing,
    login: (account) => login(issuer, authority.certificate, account),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function configuration(accounts: Accounts, { kid, key }: SigningKey, jwksUri: string | undefined): object {
  return {
    clients: [
      {
        client_id: clientId,
        client_secret: secret,
        redirect_uris: [redirect],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...key.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomUUID()] },
    // Kubernetes reads ID tokens alone.
    conformIdTokenClaims: false,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'email', 'groups'],
    pkce: { required: () => false },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_: unknown, id: string) =>
      accounts[id] && {
        accountId: id,
        claims: () => ({ sub: id, groups: accounts[id], email: `${id}@example.com`, email_verified: true }),
      },
    ttl: { IdToken: 600, AccessToken: 600, Interaction: 60, Session: 60, Grant: 60 },
    ...(jwksUri !== undefined && { discovery: { jwks_uri: jwksUri } }),
  };
}

/** What a browser and kubelogin do: follows every redirect with the cookies it was given, and exchanges the code at the end. */
async function login(issuer: string, ca: string, account: string): Promise<string> {
  const agent = new https.Agent({ ca, keepAlive: false });
  const jar = new Map<string, string>();
  const ask = (url: string, options: https.RequestOptions = {}, body?: string) =>
    new Promise<{ response: IncomingMessage; body: string }>((resolve, reject) => {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const headers = { cookie, 'x-account': account, ...options.headers };
      const request = https.request(url, { ...options, agent, headers }, async (response) => {
        for (const each of response.headers['set-cookie'] ?? []) {
          const [name = '', value = ''] = each.split(';')[0]!.split('=');
          if (value === '') jar.delete(name);
          else jar.set(name, value);
        }
        resolve({ response, body: await text(response) });
      });
      request.once('error', reject);
      request.end(body);
    });
  const query = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    scope: 'openid groups email',
    redirect_uri: redirect,
  });
  let at = `${issuer}/auth?${query}`;
  while (!at.startsWith(redirect)) {
    const { response, body } = await ask(at);
    if (response.headers.location === undefined) throw new Error(`${at}: ${response.statusCode} ${body.slice(0, 500)}`);
    at = new URL(response.headers.location, at).href;
  }
  const code = new URL(at).searchParams.get('code');
  if (code === null) throw new Error(`no code: ${at}`);
  const form = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: redirect });
  const { body } = await ask(
    `${issuer}/token`,
    {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
      },
    },
    form.toString(),
  );
  return (JSON.parse(body) as { id_token: string }).id_token;
}

/** A token as an issuer might sign it, or somebody else. @param signing none: the algorithm is `none` */
export function token(signing: SigningKey | undefined, claims: object): string {
  const now = Math.floor(Date.now() / 1000);
  const header = signing ? { alg: 'RS256', kid: signing.kid } : { alg: 'none' };
  const payload = { aud: clientId, sub: 'alice', iat: now, exp: now + 600, ...claims };
  const content = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = signing ? createSign('RSA-SHA256').update(content).sign(signing.key, 'base64url') : '';
  return `${content}.${signature}`;
}
