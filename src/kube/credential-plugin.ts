import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { load } from 'js-yaml';
import { messageOf, UserError } from '../base/errors.ts';
import type { Credential, PluginCredentials } from './connection.ts';

/** What a plugin gave, and until when it is good. */
export interface PluginAnswer {
  credential: Credential;
  /** Milliseconds since 1970; undefined where the plugin sets no end. */
  expires: number | undefined;
}

/** Milliseconds until a plugin that has not ended is spoken of: it may wait for a person. */
const quietTime = 4000;

/** Versions of the ExecCredential object that are spoken. */
export const pluginVersions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/**
 * Runs a credential plugin once. Its standard error is ours; standard input is ours only when somebody sits there and the
 * plugin wants it, else /dev/null.
 *
 * @throws UserError `infra-credentials`
 */
export async function runPlugin(plugin: PluginCredentials): Promise<PluginAnswer> {
  if (plugin.interactiveMode === 'Always' && !plugin.terminal)
    throw failure(
      plugin,
      'its interactiveMode is Always, and standard input is no terminal',
      'run the command at a terminal, or let the plugin do without one (interactiveMode IfAvailable)',
    );
  const interactive = plugin.terminal && plugin.interactiveMode !== 'Never';
  const program = findProgram(plugin);
  const waiting = setTimeout(() => {
    plugin.notice?.(
      `Waiting for the credential plugin ${path.basename(plugin.command)} of ${plugin.where}; ${interactive ? 'it may want an answer here or in a browser' : 'it may want an answer in a browser'}`,
    );
  }, quietTime);
  try {
    return readAnswer(plugin, await output(plugin, program, interactive));
  } finally {
    clearTimeout(waiting);
  }
}

function output(plugin: PluginCredentials, program: string, interactive: boolean): Promise<string> {
  const info = {
    kind: 'ExecCredential',
    apiVersion: plugin.apiVersion,
    spec: { ...(plugin.cluster && { cluster: plugin.cluster }), interactive },
  };
  const env = {
    ...plugin.environment,
    ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: `${JSON.stringify(info)}\n`,
  };
  return new Promise((resolve, reject) => {
    const child = spawn(program, plugin.args, { env, stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', (error) => reject(failure(plugin, messageOf(error), undefined, error)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(failure(plugin, signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`));
    });
  });
}

/**
 * A name is looked for on the PATH of k8sk8s, not on one that the kubeconfig sets for the plugin, and never found in the
 * present folder: as kubectl does.
 */
function findProgram(plugin: PluginCredentials): string {
  const { command } = plugin;
  if (command.includes(path.sep)) {
    if (isProgram(command)) return command;
  } else {
    const folders = (plugin.environment.PATH ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
    const found = folders.map((folder) => path.join(folder, command)).find(isProgram);
    if (found !== undefined) return found;
  }
  const why = command.includes(path.sep) ? 'there is no such program, or it may not be run' : 'it is not on the PATH';
  throw failure(plugin, why, withoutControls(plugin.installHint) ?? `install ${command}`);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The ExecCredential that the plugin wrote, JSON or YAML. Nothing of it is repeated in messages: it holds a secret. */
function readAnswer(plugin: PluginCredentials, text: string): PluginAnswer {
  const invalid = (why: string) => failure(plugin, `its answer ${why}`);
  const answer = parse(text);
  if (answer?.kind !== 'ExecCredential') throw invalid('is no ExecCredential');
  if (answer.apiVersion !== plugin.apiVersion)
    throw invalid(`is of ${printable(answer.apiVersion)}, and the kubeconfig says apiVersion ${plugin.apiVersion}`);
  const status = answer.status;
  if (typeof status !== 'object' || status === null) throw invalid('has no status');
  const field = (name: string): string | undefined => {
    const value = (status as Record<string, unknown>)[name] ?? '';
    if (typeof value !== 'string') throw invalid(`has a ${name} that is no text`);
    return value === '' ? undefined : value;
  };
  const [token, certificate, key] = [field('token'), field('clientCertificateData'), field('clientKeyData')];
  if ((certificate === undefined) !== (key === undefined))
    throw invalid('has only one of clientCertificateData and clientKeyData');
  if (token === undefined && certificate === undefined) throw invalid('has neither a token nor a client certificate');
  const end = field('expirationTimestamp');
  const expires = end === undefined ? undefined : Date.parse(end);
  if (Number.isNaN(expires)) throw invalid('has an expirationTimestamp that is no time');
  const client = certificate !== undefined && key !== undefined ? { certificate, key } : undefined;
  try {
    if (client) createSecureContext({ cert: client.certificate, key: client.key });
  } catch (error) {
    throw failure(plugin, `its client certificate and key cannot be used: ${messageOf(error)}`, undefined, error);
  }
  return { credential: { authorization: token && `Bearer ${token}`, client }, expires };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const answer = text.trimStart().startsWith('{') ? JSON.parse(text) : load(text);
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

function printable(value: unknown): string {
  return typeof value === 'string' ? (withoutControls(value) ?? 'no version') : 'no version';
}

/** Escape sequences of a file must not reach the terminal. */
function withoutControls(text: string | undefined): string | undefined {
  const cleaned = text?.replace(/[^\P{C}\n\t]/gu, '').trim();
  return cleaned === '' ? undefined : cleaned;
}

function failure(plugin: PluginCredentials, why: string, fix?: string, cause?: unknown): UserError {
  return new UserError({
    what: `the credential plugin "${withoutControls(plugin.command)}" of ${plugin.where} failed`,
    why,
    fix: fix ?? 'run the plugin by hand and see what it says; is it logged in?',
    anchor: 'infra-credentials',
    kind: 'refused',
    cause,
  });
}
