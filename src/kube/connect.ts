import { statSync } from 'node:fs';
import https from 'node:https';
import { homedir } from 'node:os';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { messageOf, UserError } from '../base/errors.ts';
import type { SealKey } from '../pki/sealing.ts';
import { HostedCluster } from './hosted-cluster.ts';
import { InfraCluster } from './infra-cluster.ts';
import { type Credentials, Transport } from './transport.ts';

export interface KubeconfigChoice {
  /** Path given with --kubeconfig; else KUBECONFIG, else ~/.kube/config. */
  kubeconfig?: string;
  context?: string;
}

/**
 * Opens the infra cluster of a kubeconfig the way kubectl does, without the client library's silent fall-back to
 * localhost:8080. Nothing is sent yet.
 *
 * @throws UserError (kind `usage`) when the file or the context cannot be used
 */
export function connectInfra(choice: KubeconfigChoice, namespace: string, sealKey?: SealKey): InfraCluster {
  const config = loadKubeconfig(choice);
  const server = config.getCurrentCluster()!.server;
  return new InfraCluster(new Transport(server, credentialsOf(config)), namespace, sealKey);
}

/** The namespace that the chosen context names, if any. */
export function namespaceOfContext(choice: KubeconfigChoice): string | undefined {
  const config = loadKubeconfig(choice);
  return config.getContextObject(config.getCurrentContext())?.namespace;
}

/** The chosen context's namespace first, then those of all other contexts for the same cluster; `default` where none is named. */
export function namespacesOfContexts(choice: KubeconfigChoice): string[] {
  const config = loadKubeconfig(choice);
  const current = config.getContextObject(config.getCurrentContext());
  const others = config.getContexts().filter(({ cluster }) => cluster === current?.cluster);
  return [...new Set([current, ...others].map((context) => context?.namespace ?? 'default'))];
}

/** The way into a hosted cluster. */
export interface HostedAccess {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM, as the others. */
  certificateAuthority: string;
  client: { certificate: string; key: string };
}

/** The hosted cluster behind `server`, trusted by its own CA only, with a client certificate. PEM strings. */
export function connectHosted(options: HostedAccess): HostedCluster {
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: 16,
    ca: options.certificateAuthority,
    cert: options.client.certificate,
    key: options.client.key,
  });
  return new HostedCluster(new Transport(options.server, async () => ({ agent }), 'hosted'));
}

function loadKubeconfig(choice: KubeconfigChoice): KubeConfig {
  const files = kubeconfigFiles(choice);
  const origin = choice.kubeconfig ? '--kubeconfig' : process.env.KUBECONFIG ? 'KUBECONFIG' : 'the default';
  const config = new KubeConfig();
  const found = files.filter((file) => checkFile(file, files.length === 1, origin));
  if (found.length === 0)
    throw kubeconfigError(`no kubeconfig at ${files.join(' or ')} (${origin})`, 'none of the files exists');
  const empty = found.find((file) => statSync(file).size === 0);
  if (empty !== undefined) throw kubeconfigError(`the kubeconfig ${empty} (${origin}) is empty`, undefined);
  for (const [index, file] of found.entries()) {
    try {
      if (index === 0) config.loadFromFile(file);
      else {
        const next = new KubeConfig();
        next.loadFromFile(file);
        config.mergeConfig(next, true);
      }
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw kubeconfigError(
        `cannot use the kubeconfig ${file}`,
        code === 'EACCES' ? 'you may not read it' : `it is not a kubeconfig: ${messageOf(error)}`,
        error,
      );
    }
  }
  if (choice.context !== undefined) config.setCurrentContext(choice.context);
  const name = config.getCurrentContext();
  const known = config.getContexts().map((context) => context.name);
  if (!name)
    throw kubeconfigError(
      `the kubeconfig ${found.join(', ')} has no current-context`,
      known.length > 0 ? `it has the contexts ${known.join(', ')}` : 'it has no context at all',
      undefined,
      'choose one with --context NAME',
    );
  if (!config.getContextObject(name))
    throw kubeconfigError(
      `the kubeconfig ${found.join(', ')} has no context "${name}"`,
      known.length > 0 ? `it has ${known.join(', ')}` : 'it has none at all',
      undefined,
      'choose one with --context NAME',
    );
  const cluster = config.getCurrentCluster();
  if (!cluster?.server)
    throw kubeconfigError(`context "${name}" of ${found.join(', ')} names no cluster with a server`, undefined);
  if (!config.getCurrentUser())
    throw kubeconfigError(
      `context "${name}" of ${found.join(', ')} names a user that the file does not have`,
      undefined,
    );
  if (!URL.canParse(cluster.server))
    throw kubeconfigError(
      `context "${name}" of ${found.join(', ')} has a server that is not a URL: ${cluster.server}`,
      undefined,
    );
  return config;
}

function kubeconfigFiles(choice: KubeconfigChoice): string[] {
  if (choice.kubeconfig !== undefined) return [choice.kubeconfig];
  const listed = (process.env.KUBECONFIG ?? '').split(path.delimiter).filter(Boolean);
  return listed.length > 0 ? listed : [path.join(homedir(), '.kube', 'config')];
}

/** True when the file is there; a missing one of several is passed over, as kubectl does. */
function checkFile(file: string, only: boolean, origin: string): boolean {
  try {
    if (statSync(file).isDirectory())
      throw kubeconfigError(`the kubeconfig ${file} (${origin}) is a directory`, undefined);
    return true;
  } catch (error) {
    if (error instanceof UserError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT')
      throw kubeconfigError(`cannot read the kubeconfig ${file} (${origin})`, messageOf(error), error);
    if (only) throw kubeconfigError(`there is no kubeconfig at ${file} (${origin})`, undefined);
    return false;
  }
}

function kubeconfigError(what: string, why: string | undefined, cause?: unknown, fix?: string): UserError {
  return new UserError({
    what,
    why,
    fix: fix ?? 'name the kubeconfig of the infra cluster with --kubeconfig FILE or the KUBECONFIG variable',
    anchor: 'infra-kubeconfig',
    kind: 'usage',
    cause,
  });
}

/** Credentials by the client library (files, tokens, exec plugins, OIDC), on one keep-alive agent instead of its one a request. */
function credentialsOf(config: KubeConfig): Credentials {
  return async () => {
    const options: https.RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(options);
    } catch (error) {
      const command = config.getCurrentUser()?.exec?.command;
      throw new UserError({
        what: command
          ? `the kubeconfig's credential plugin "${command}" failed`
          : 'the credentials of the kubeconfig cannot be used',
        why: messageOf(error),
        fix: command
          ? `run "${command}" by hand and see what it says; is it installed and logged in?`
          : 'get a fresh kubeconfig, or choose another one with --kubeconfig or --context',
        anchor: 'infra-credentials',
        kind: 'refused',
        cause: error,
      });
    }
    if (options.agent instanceof https.Agent && options.agent.constructor === https.Agent) {
      options.agent = new https.Agent({ ...options.agent.options, keepAlive: true, maxSockets: 24 });
    }
    return options;
  };
}
