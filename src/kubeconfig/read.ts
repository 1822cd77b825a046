import { load, YAMLException } from 'js-yaml';
import { messageOf, UserError } from '../base/errors.ts';
import { fingerprint } from '../pki/inspect.ts';

interface NamedCluster {
  name: string;
  server?: string;
  /** PEM, from certificate-authority-data. */
  certificateAuthority?: string;
  /** SHA-256 of the CA's first certificate, hexadecimal; absent when the CA is in another file or unreadable. */
  fingerprint?: string;
}

interface KubeconfigContext {
  name: string;
  cluster?: string;
  user?: string;
  namespace?: string;
}

/** What a kubeconfig says; `server`, `fingerprint`, `token` and so on are those of its current context. */
export interface KubeconfigFacts {
  clusters: NamedCluster[];
  contexts: KubeconfigContext[];
  users: string[];
  currentContext?: string;
  clusterName?: string;
  userName?: string;
  namespace?: string;
  server?: string;
  certificateAuthority?: string;
  fingerprint?: string;
  token?: string;
  /** PEM, from client-certificate-data. */
  clientCertificate?: string;
}

/**
 * Reads a kubeconfig without touching files that it names. An empty one is a kubeconfig, as it is for kubectl.
 *
 * @param path for error messages only
 * @throws UserError when the text is not a kubeconfig; no part of the text is repeated, since keys may be in it
 */
export function readKubeconfig(text: string, path: string): KubeconfigFacts {
  const config = parse(text, path);
  const clusters = entries(config.clusters, 'cluster', path).map(({ name, value }): NamedCluster => {
    const certificateAuthority = decode(value['certificate-authority-data']);
    return {
      name,
      server: string(value.server),
      certificateAuthority,
      fingerprint: tryFingerprint(certificateAuthority),
    };
  });
  const contexts = entries(config.contexts, 'context', path).map(
    ({ name, value }): KubeconfigContext => ({
      name,
      cluster: string(value.cluster),
      user: string(value.user),
      namespace: string(value.namespace),
    }),
  );
  const users = entries(config.users, 'user', path);
  const current = contexts.find((context) => context.name === config['current-context']);
  const cluster = clusters.find((each) => each.name === current?.cluster);
  const user = users.find((each) => each.name === current?.user);
  return {
    clusters,
    contexts,
    users: users.map((each) => each.name),
    currentContext: string(config['current-context']),
    clusterName: cluster?.name,
    userName: user?.name,
    namespace: current?.namespace,
    server: cluster?.server,
    certificateAuthority: cluster?.certificateAuthority,
    fingerprint: cluster?.fingerprint,
    token: string(user?.value.token),
    clientCertificate: decode(user?.value['client-certificate-data']),
  };
}

/** A kubeconfig file that cannot be understood, and why. */
export function notAKubeconfig(path: string, why: string): UserError {
  return new UserError({
    what: `${path} is not a kubeconfig`,
    why,
    fix: 'repair it or move it away, or name another file',
    anchor: 'not-a-kubeconfig',
  });
}

/** How error messages name a cluster's authority. */
export function describeAuthority(fingerprint: string | undefined): string {
  return fingerprint === undefined ? 'no CA in the file' : `CA sha256:${fingerprint.slice(0, 16)}`;
}

type Fields = Record<string, unknown>;

function parse(text: string, path: string): Fields {
  // js-yaml refuses texts without a document; comments alone make none.
  if (/^\s*(#.*\s*)*$/.test(text)) return {};
  let config: unknown;
  try {
    config = load(text) ?? {};
  } catch (error) {
    throw notAKubeconfig(path, yamlProblem(error));
  }
  if (!isFields(config)) throw notAKubeconfig(path, 'it has no fields');
  if (config.kind !== undefined && config.kind !== 'Config') throw notAKubeconfig(path, 'its kind is not Config');
  return config;
}

/** The parser's reason and line; its full message quotes the text, with the keys that may stand there. */
function yamlProblem(error: unknown): string {
  if (!(error instanceof YAMLException)) return messageOf(error);
  return error.mark ? `line ${error.mark.line + 1} is not valid YAML` : 'it is not valid YAML';
}

function entries(list: unknown, kind: string, path: string): { name: string; value: Fields }[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw notAKubeconfig(path, `its ${kind}s are not a list`);
  return list.map((entry: unknown) => {
    if (!isFields(entry) || typeof entry.name !== 'string')
      throw notAKubeconfig(path, `it has a ${kind} without a name`);
    return { name: entry.name, value: isFields(entry[kind]) ? entry[kind] : {} };
  });
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function string(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function decode(base64: unknown): string | undefined {
  const text = string(base64);
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8');
}

function tryFingerprint(pem: string | undefined): string | undefined {
  try {
    return pem === undefined ? undefined : fingerprint(pem);
  } catch {
    return undefined;
  }
}
