import type { Duplex } from 'node:stream';

/**
 * How one API server is reached and who asks, as a value: a kubeconfig, a pod's service account or a program makes it,
 * and the transport takes it. Nothing is looked up in the process's environment or home folder when it is used.
 */
export interface Connection {
  /** An http: or https: URL; its path stands before the path of every request. */
  server: string;
  tls?: ServerTrust;
  credentials?: Credentials;
  impersonate?: Impersonation;
  proxies?: Proxies;
  /** Bytes of one answer that are read at most, of requests that say no number of their own; 256 MiB by default. */
  longestAnswer?: number;
  /** Opens the byte stream to the server, where it is not dialled from here; proxies do not count then. */
  dial?: () => Promise<Duplex>;
}

/** How the server is known. */
export interface ServerTrust {
  /** PEM certificates; each of them is an anchor, an intermediate as well. Without any, those that Node.js brings along. */
  authorities?: readonly string[];
  /** Whose `authorities` they are, for error messages: the kubeconfig's by default. */
  authoritiesOf?: 'kubeconfig' | 'system';
  /** Name that the certificate has to bear, and that is asked for; the server's host by default. */
  serverName?: string;
  /** Take any certificate. */
  insecure?: boolean;
}

/** PEM, or a file with it, which is read again when it changes. */
export type Pem = { text: string } | { file: string };

/** Who asks. At most one of the four that make an `Authorization` header counts, in the order in which they stand here. */
export interface Credentials {
  client?: { certificate: Pem; key: Pem };
  basic?: { username: string; password: string };
  token?: TokenCredentials;
  plugin?: PluginCredentials;
  oidc?: OidcCredentials;
}

export interface TokenCredentials {
  /** The token as it is; counts where there is no file, or none that can be read. */
  text?: string;
  /** A file that holds the token, which is read again within a minute. */
  file?: string;
}

/** A credential plugin (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). */
export interface PluginCredentials {
  /** A name to be found on `environment.PATH`, or an absolute path. */
  command: string;
  args: string[];
  env: { name: string; value: string }[];
  apiVersion: string;
  interactiveMode: 'Never' | 'IfAvailable' | 'Always';
  installHint?: string;
  /** What the plugin is told about the cluster, with provideClusterInfo. */
  cluster?: object;
  /** Variables that the plugin runs with, besides `env`. */
  environment: Record<string, string | undefined>;
  /** Whether somebody sits at standard input. */
  terminal: boolean;
  /** Where the plugin is named, for messages: `user "x" of /path`. */
  where: string;
  /** Takes a sentence about a plugin that lets wait. */
  notice?: (sentence: string) => void;
}

/** The auth-provider `oidc`. */
export interface OidcCredentials {
  issuer: string;
  clientId: string;
  clientSecret?: string;
  idToken?: string;
  refreshToken?: string;
  /** Of the issuer; as ServerTrust.authorities. */
  authorities?: readonly string[];
  proxies?: Proxies;
  where: string;
  /** Keeps tokens that were got, for the next run. */
  keep?: (tokens: { idToken: string; refreshToken: string }) => Promise<void>;
}

/** Impersonate-* headers (https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/). */
export interface Impersonation {
  user: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** Which proxy leads to a server. */
export interface Proxies {
  /** http, https or socks5 URL for everything, whatever the others say. */
  url?: string;
  /** For https: servers. */
  https?: string;
  /** For http: servers. */
  http?: string;
  /** Servers that `https` and `http` are not for: NO_PROXY. */
  except?: string;
}

/** What is sent in the name of the one who asks. */
export interface Credential {
  authorization?: string;
  /** PEM. */
  client?: { certificate: string; key: string };
}
