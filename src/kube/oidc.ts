import http from 'node:http';
import https from 'node:https';
import { messageOf, UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { abortable } from './abortable.ts';
import { agentFor } from './agents.ts';
import type { OidcCredentials } from './connection.ts';
import { tlsOptions } from './tls.ts';

/** A token that ends within this time is taken for one that has ended, in milliseconds. */
const leeway = 10_000;
/** Milliseconds for one answer of the issuer. */
const patience = 15_000;

export interface OidcTokens {
  idToken: string;
  refreshToken: string;
}

/**
 * Whether an ID token is good for a while.
 *
 * @throws UserError when it is no token at all
 */
export function isCurrent(oidc: OidcCredentials, idToken: string): boolean {
  const [, payload, signature] = idToken.split('.');
  try {
    if (signature === undefined) throw new Error('it has not three parts');
    const { exp } = JSON.parse(Buffer.from(payload!, 'base64url').toString('utf8')) as { exp?: number };
    return Number(exp ?? 0) * 1000 > Date.now() + leeway;
  } catch (error) {
    throw failure(oidc, 'its id-token is no JSON Web Token', undefined, error);
  }
}

/**
 * Asks the issuer for another ID token (https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokens).
 *
 * @throws UserError `infra-credentials`
 */
export async function refresh(oidc: OidcCredentials, refreshToken: string | undefined): Promise<OidcTokens> {
  if (refreshToken === undefined)
    throw failure(oidc, 'its id-token has ended, and there is no refresh-token to get another one');
  try {
    const endpoint = await tokenEndpoint(oidc);
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken };
    const secret = oidc.clientSecret ?? '';
    const basic = [oidc.clientId, secret].map(encodeURIComponent).join(':');
    // Issuers differ in where they want the client's secret; which way is theirs is found out by trying.
    let answer = await send(oidc, endpoint, form, `Basic ${Buffer.from(basic).toString('base64')}`);
    if (answer.status !== 200)
      answer = await send(oidc, endpoint, {
        ...form,
        client_id: oidc.clientId,
        ...(secret && { client_secret: secret }),
      });
    if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}${problemIn(answer.body)}`);
    const tokens = JSON.parse(answer.body) as { id_token?: unknown; refresh_token?: unknown };
    if (typeof tokens.id_token !== 'string') throw new Error('the token endpoint gave no id_token');
    const next =
      typeof tokens.refresh_token === 'string' && tokens.refresh_token !== '' ? tokens.refresh_token : refreshToken;
    return { idToken: tokens.id_token, refreshToken: next };
  } catch (error) {
    throw failure(
      oidc,
      `${oidc.issuer}: ${messageOf(error)}`,
      'log in again with the tool that made the kubeconfig',
      error,
    );
  }
}

async function tokenEndpoint(oidc: OidcCredentials): Promise<URL> {
  const { status, body } = await send(
    oidc,
    new URL(`${oidc.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
  );
  if (status !== 200) throw new Error(`its openid-configuration answered ${status}`);
  const { token_endpoint: endpoint } = JSON.parse(body) as { token_endpoint?: unknown };
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) throw new Error('it names no token_endpoint');
  return new URL(endpoint);
}

async function send(
  oidc: OidcCredentials,
  url: URL,
  form?: Record<string, string>,
  authorization?: string,
): Promise<{ status: number; body: string }> {
  const tls = tlsOptions(url, { authorities: oidc.authorities }, undefined);
  const agent = await agentFor(url, oidc.proxies, tls, { keepAlive: false });
  const limit = AbortSignal.timeout(patience);
  const body = form && new URLSearchParams(form).toString();
  const answer = new Promise<{ status: number; body: string }>((resolve, reject) => {
    const request = (url.protocol === 'http:' ? http : https).request(
      url,
      {
        ...tls,
        agent,
        method: body === undefined ? 'GET' : 'POST',
        signal: limit,
        headers: {
          Accept: 'application/json',
          ...(authorization && { Authorization: authorization }),
          ...(body !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 500, body: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    request.once('error', reject);
    request.end(body);
  });
  return abortable(answer, limit).finally(() => agent.destroy());
}

/** The issuer's own reason (RFC 6749, section 5.2); nothing else of its answer, which may be a page. */
function problemIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' ? ` ${error.slice(0, 80)}` : '';
  } catch {
    return '';
  }
}

function failure(oidc: OidcCredentials, why: string, fix?: string, cause?: unknown): UserError {
  return new UserError({
    what: `the auth-provider oidc of ${oidc.where} gives no credentials`,
    why,
    fix:
      fix ??
      words`log in again with the tool that made the kubeconfig, or choose another one with ${option('kubeconfig')} or ${option('context')}`,
    anchor: 'infra-credentials',
    kind: 'refused',
    cause,
  });
}
