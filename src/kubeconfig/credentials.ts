import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import type { Credentials, Impersonation, Pem, PluginCredentials, ServerTrust } from '../kube/connection.ts';
import { pluginVersions } from '../kube/credential-plugin.ts';
import { readPem } from '../kube/credential-source.ts';
import { oidcOf } from './auth-provider.ts';
import type { ClusterEntry, ExecEntry, UserEntry } from './decode.ts';
import { fromFileOf, type NamedEntry, type NamedUser, openNamed, refuseBoth } from './named-file.ts';
import { kubeconfigError } from './problem.ts';
import type { Surroundings } from './surroundings.ts';

/** What is wrong whatever the server's scheme. @throws UserError `infra-kubeconfig` */
export function checkCredentials(user: NamedUser): void {
  const { entry, where } = user;
  if (entry['client-certificate'] || entry['client-certificate-data']) {
    refuseBoth(user, 'client-certificate-data', 'client-certificate');
    refuseBoth(user, 'client-key-data', 'client-key');
    if (!entry['client-key'] && !entry['client-key-data'])
      throw kubeconfigError({
        what: `${where} has a ${entry['client-certificate'] ? 'client-certificate' : 'client-certificate-data'} without its key`,
        why: 'neither client-key nor client-key-data is there',
      });
    openNamed(user, 'client-certificate');
    openNamed(user, 'client-key');
  }
  const why = 'each of them says who asks, and only one can';
  refuseBoth(user, 'token', 'username', why);
  refuseBoth(user, 'token', 'password', why);
  if (entry.exec && entry['auth-provider'])
    throw kubeconfigError({ what: `${where} has both exec and auth-provider`, why });
  if (entry.exec) checkPlugin(entry.exec, where);
}

function checkPlugin(exec: ExecEntry, where: string): void {
  const missing = (field: string, why?: string) =>
    kubeconfigError({ what: `the exec of ${where} has no ${field}`, why: why ?? 'without it the plugin is not run' });
  if (exec.command === '') throw missing('command');
  if (exec.apiVersion === '') throw missing('apiVersion');
  if (exec.env.some(({ name }) => name === '')) throw missing('name for one of its env variables');
  const mode = interactiveModeOf(exec);
  if (mode === '')
    throw missing(
      'interactiveMode',
      `with apiVersion ${exec.apiVersion} it has to be there: Never, IfAvailable or Always`,
    );
  if (!['Never', 'IfAvailable', 'Always'].includes(mode))
    throw kubeconfigError({
      what: `the exec of ${where} has the interactiveMode "${mode}"`,
      why: 'Never, IfAvailable and Always are known',
    });
}

function interactiveModeOf({ interactiveMode, apiVersion }: ExecEntry): string {
  const isOld = /^client\.authentication\.k8s\.io\/v1(alpha|beta)1$/.test(apiVersion);
  return interactiveMode || (isOld ? 'IfAvailable' : '');
}

/** @throws UserError `infra-kubeconfig`: groups and the like say nothing without a user */
export function impersonationOf({ entry, where }: NamedUser): Impersonation | undefined {
  const { as: user, 'as-uid': uid, 'as-groups': groups, 'as-user-extra': extra } = entry;
  const others = [uid && 'as-uid', groups.length > 0 && 'as-groups', Object.keys(extra).length > 0 && 'as-user-extra'];
  if (user === '') {
    const named = others.filter(Boolean).join(', ');
    if (named === '') return undefined;
    throw kubeconfigError({
      what: `${where} has ${named}, and no field as`,
      why: 'groups, uid and extra belong to the user who is impersonated',
      fix: 'write the user into the field as, or take the others out',
    });
  }
  for (const text of [user, uid, ...groups, ...Object.values(extra).flat()]) refuseControls(text, 'as', where);
  return { user, uid: uid || undefined, groups, extra };
}

/**
 * Who asks. Of several ways kubectl's counts: the server's URL, a token, a password, a client certificate, then the plugin.
 *
 * @throws UserError `infra-kubeconfig` or `infra-credentials` when nobody is named, or what is named cannot be used
 */
export function credentialsOf(
  user: NamedUser,
  cluster: NamedEntry<ClusterEntry>,
  tls: ServerTrust,
  server: URL,
  surroundings: Surroundings,
): Credentials {
  const { entry, where } = user;
  const client = clientOf(user);
  const token = tokenOf(user);
  const oidc = entry['auth-provider'] ? oidcOf(user, entry['auth-provider'], surroundings) : undefined;
  const plugin = entry.exec ? pluginOf(user, entry.exec, cluster, tls, surroundings) : undefined;
  if (!client && !token && !oidc && !plugin && entry.username === '')
    throw kubeconfigError({
      what: `${where} has no credentials`,
      why: 'neither a token, a client certificate, a plugin nor a username is there; they are not asked for',
      fix: words`get a fresh kubeconfig, or choose another context with ${option('context', 'NAME')}`,
    });
  const basic = basicOf(entry, server);
  if (basic) return { client, basic };
  if (token) return { client, token };
  // A plugin is not run for somebody who has a certificate.
  return { client, plugin: client ? undefined : plugin, oidc };
}

function basicOf(entry: UserEntry, server: URL): Credentials['basic'] {
  if (server.username !== '' || server.password !== '')
    return { username: decodeURIComponent(server.username), password: decodeURIComponent(server.password) };
  return entry.username === '' ? undefined : { username: entry.username, password: entry.password };
}

function clientOf(user: NamedUser): Credentials['client'] {
  const { entry, where } = user;
  const pem = (field: 'client-certificate' | 'client-key'): Pem =>
    entry[`${field}-data`] ? { text: entry[`${field}-data`] } : { file: fromFileOf(user, entry[field]) };
  if (!entry['client-certificate'] && !entry['client-certificate-data']) return undefined;
  const client = { certificate: pem('client-certificate'), key: pem('client-key') };
  try {
    createSecureContext({ cert: readPem(client.certificate), key: readPem(client.key) });
  } catch (error) {
    throw kubeconfigError({
      what: `the client certificate and the client key of ${where} cannot be used`,
      why: messageOf(error),
      fix: words`get a fresh kubeconfig, or choose another context with ${option('context', 'NAME')}`,
      cause: error,
    });
  }
  return client;
}

function tokenOf(user: NamedUser): Credentials['token'] {
  const { token, tokenFile } = user.entry;
  refuseControls(token, 'token', user.where);
  if (tokenFile === '') return token === '' ? undefined : { text: token };
  const file = fromFileOf(user, tokenFile);
  if (token !== '') return { text: token, file };
  const problem = (why: string, cause?: unknown) =>
    kubeconfigError({
      what: `the tokenFile of ${user.where} gives no token`,
      why,
      fix: `correct the path ${tokenFile}, which is meant from the folder of ${user.file}`,
      cause,
    });
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw problem(messageOf(error), error);
  }
  if (text === '') throw problem(`${file} is empty`);
  refuseControls(text, 'tokenFile', user.where);
  return { file };
}

/** The exec extension of a cluster is for plugins to read. */
const clusterExtension = 'client.authentication.k8s.io/exec';

function pluginOf(
  user: NamedUser,
  exec: ExecEntry,
  { entry: cluster }: NamedEntry<ClusterEntry>,
  { authorities }: ServerTrust,
  { env, terminal, notice }: Surroundings,
): PluginCredentials {
  if (!pluginVersions.includes(exec.apiVersion))
    throw kubeconfigError({
      what: `the exec of ${user.where} has the apiVersion ${exec.apiVersion}`,
      why: `${pluginVersions.join(' and ')} are known`,
      fix: 'a newer release of the plugin may speak one of them',
    });
  const hasOwnCa = cluster['certificate-authority'] !== '' || cluster['certificate-authority-data'] !== '';
  const info = {
    server: cluster.server,
    'tls-server-name': cluster['tls-server-name'] || undefined,
    'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'] || undefined,
    'certificate-authority-data': hasOwnCa ? Buffer.from(`${authorities?.join('\n')}\n`).toString('base64') : undefined,
    'proxy-url': cluster['proxy-url'] || undefined,
    'disable-compression': cluster['disable-compression'] || undefined,
    config: cluster.extensions.find(({ name }) => name === clusterExtension)?.extension ?? null,
  };
  return {
    command: exec.command.includes(path.sep) ? fromFileOf(user, exec.command) : exec.command,
    args: exec.args,
    env: exec.env,
    apiVersion: exec.apiVersion,
    interactiveMode: interactiveModeOf(exec) as PluginCredentials['interactiveMode'],
    installHint: exec.installHint || undefined,
    cluster: exec.provideClusterInfo ? info : undefined,
    environment: env,
    terminal,
    where: user.where,
    notice,
  };
}

/** A header cannot carry them. */
function refuseControls(text: string, field: string, where: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text))
    throw kubeconfigError({
      what: `the field ${field} of ${where} has a line end or another control character in it`,
      why: 'it is sent in a header, which takes none',
      fix: 'get a fresh kubeconfig, or write the field on one line',
    });
}
