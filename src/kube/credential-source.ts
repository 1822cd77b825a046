import { readFileSync, statSync } from 'node:fs';
import { messageOf, UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import type {
  Credential,
  Credentials,
  OidcCredentials,
  Pem,
  PluginCredentials,
  TokenCredentials,
} from './connection.ts';
import { runPlugin } from './credential-plugin.ts';
import { isCurrent, type OidcTokens, refresh } from './oidc.ts';

/** Where a transport gets what it sends from, request by request: credentials end, and files are written anew. */
export interface CredentialSource {
  /** @throws UserError `infra-credentials` */
  current(): Promise<Credential>;
  /**
   * Called when the server did not know `used`.
   *
   * @returns whether another try may have other luck
   */
  renew(used: Credential): Promise<boolean>;
}

/** Milliseconds after which a file is looked at again; client-go allows a token file a minute, of which ten seconds are spare. */
const readEvery = 50_000;

export function sourceOf(credentials: Credentials = {}): CredentialSource {
  const client = credentials.client && new ClientFiles(credentials.client);
  const header = headerSource(credentials);
  if (!client) return header;
  return {
    current: async () => ({ ...(await header.current()), client: client.current() }),
    renew: async (used) => client.isNew() || header.renew(used),
  };
}

function headerSource({ basic, token, plugin, oidc }: Credentials): CredentialSource {
  if (basic) {
    const authorization = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
    return unchanging({ authorization });
  }
  if (token) return token.file === undefined ? unchanging(bearer(token.text ?? '')) : new TokenFile(token.file, token);
  if (plugin) return new PluginSource(plugin);
  return oidc ? new OidcSource(oidc) : unchanging({});
}

const bearer = (token: string): Credential => ({ authorization: `Bearer ${token}` });

function unchanging(credential: Credential): CredentialSource {
  return { current: async () => credential, renew: async () => false };
}

/** The token in a file beats the one beside it, as long as the file can be read and is not empty. */
class TokenFile implements CredentialSource {
  readonly #file: string;
  #token: string | undefined;
  #read = Number.NEGATIVE_INFINITY;

  constructor(file: string, { text }: TokenCredentials) {
    this.#file = file;
    this.#token = text;
  }

  async current(): Promise<Credential> {
    if (performance.now() - this.#read > readEvery) this.#look();
    if (this.#token !== undefined) return bearer(this.#token);
    throw unreadable(this.#file, 'it holds no token');
  }

  async renew(used: Credential): Promise<boolean> {
    this.#look();
    return this.#token !== undefined && bearer(this.#token).authorization !== used.authorization;
  }

  #look(): void {
    this.#read = performance.now();
    try {
      this.#token = readFileSync(this.#file, 'utf8').trim() || this.#token;
    } catch (error) {
      if (this.#token === undefined) throw unreadable(this.#file, messageOf(error), error);
    }
  }
}

/** A client certificate and its key; files are read again when they were written. */
class ClientFiles {
  readonly #client: { certificate: Pem; key: Pem };
  #stamp = '';
  #value: { certificate: string; key: string } | undefined;
  #looked = Number.NEGATIVE_INFINITY;

  constructor(client: { certificate: Pem; key: Pem }) {
    this.#client = client;
  }

  /** The same object as long as nothing has changed. */
  current(): { certificate: string; key: string } {
    if (!this.#value || performance.now() - this.#looked > readEvery) this.#look();
    return this.#value!;
  }

  isNew(): boolean {
    const before = this.#value;
    this.#look();
    return this.#value !== before;
  }

  #look(): void {
    this.#looked = performance.now();
    const { certificate, key } = this.#client;
    try {
      const stamp = [certificate, key].map(stampOf).join();
      if (this.#value && stamp === this.#stamp) return;
      this.#value = { certificate: readPem(certificate), key: readPem(key) };
      this.#stamp = stamp;
    } catch (error) {
      // One of the two may be under way.
      if (!this.#value) throw error;
    }
  }
}

function stampOf(pem: Pem): string {
  return 'text' in pem ? '' : String(statSync(pem.file).mtimeMs);
}

/** @throws UserError `infra-credentials` */
export function readPem(pem: Pem): string {
  if ('text' in pem) return pem.text;
  try {
    return readFileSync(pem.file, 'utf8');
  } catch (error) {
    throw unreadable(pem.file, messageOf(error), error);
  }
}

/** One run of the plugin for however many requests ask at once. */
class PluginSource implements CredentialSource {
  readonly #plugin: PluginCredentials;
  #running: Promise<Credential> | undefined;
  #credential: Credential | undefined;
  #expires: number | undefined;

  constructor(plugin: PluginCredentials) {
    this.#plugin = plugin;
  }

  async current(): Promise<Credential> {
    if (this.#credential && !(this.#expires !== undefined && Date.now() > this.#expires)) return this.#credential;
    return this.#run();
  }

  async renew(used: Credential): Promise<boolean> {
    // Somebody else who was told 401 has asked already.
    if (used === this.#credential) await this.#run();
    return true;
  }

  #run(): Promise<Credential> {
    this.#running ??= runPlugin(this.#plugin)
      .then(({ credential, expires }) => {
        const { client } = credential;
        // The same certificate is the same object, so that its connections stay.
        const known = this.#credential?.client;
        const same = client?.certificate === known?.certificate && client?.key === known?.key;
        this.#credential = same ? { ...credential, client: known } : credential;
        this.#expires = expires;
        return this.#credential;
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }
}

class OidcSource implements CredentialSource {
  readonly #oidc: OidcCredentials;
  #idToken: string | undefined;
  #refreshToken: string | undefined;
  #refreshing: Promise<Credential> | undefined;

  constructor(oidc: OidcCredentials) {
    this.#oidc = oidc;
    this.#idToken = oidc.idToken;
    this.#refreshToken = oidc.refreshToken;
  }

  async current(): Promise<Credential> {
    if (this.#idToken !== undefined && isCurrent(this.#oidc, this.#idToken)) return bearer(this.#idToken);
    return this.#refresh();
  }

  async renew(used: Credential): Promise<boolean> {
    if (this.#idToken !== undefined && bearer(this.#idToken).authorization !== used.authorization) return true;
    if (this.#refreshToken === undefined) return false;
    await this.#refresh();
    return true;
  }

  #refresh(): Promise<Credential> {
    this.#refreshing ??= refresh(this.#oidc, this.#refreshToken)
      .then(async (tokens: OidcTokens) => {
        this.#idToken = tokens.idToken;
        this.#refreshToken = tokens.refreshToken;
        await this.#oidc.keep?.(tokens);
        return bearer(tokens.idToken);
      })
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }
}

function unreadable(file: string, why: string, cause?: unknown): UserError {
  return new UserError({
    what: `the credentials in ${file} cannot be used`,
    why,
    fix: words`get a fresh kubeconfig, or choose another one with ${option('kubeconfig')} or ${option('context')}`,
    anchor: 'infra-credentials',
    kind: 'refused',
    cause,
  });
}
