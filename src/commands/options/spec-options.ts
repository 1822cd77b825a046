import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { load } from 'js-yaml';
import type * as z from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import { fileError } from '../../base/file-error.ts';
import type { FlagMeta } from '../../config/fields/flag.ts';
import { type ClusterSpecInput, clusterSpec } from '../../config/schema.ts';
import { webhookServer } from '../../kubeconfig/webhook.ts';
import { webhookName } from '../../plane/components/kube-apiserver/identity.ts';

/** The schema's fields with what they are called on the command line, and what they are when nobody says anything. */
const fields = Object.entries(clusterSpec.shape).map(([name, schema]) => ({
  name,
  meta: (schema as { meta(): unknown }).meta() as FlagMeta,
  fallback: (schema as z.ZodType).safeParse(undefined).data as unknown,
}));

/** Adds one option for each field of the spec. */
export function addSpecOptions(command: Command): void {
  for (const { name, meta, fallback } of fields) {
    const flags = `${meta.short ? `-${meta.short}, ` : ''}--${meta.flag}${meta.arg ? ` <${meta.arg}>` : ''}`;
    const option = new Option(flags, `${meta.help}${defaultWords(fallback)}`).helpGroup(`${meta.group}:`);
    if (meta.list) option.argParser((value: string, before: string[] = []) => [...before, ...splitList(name, value)]);
    else if (meta.map)
      option.argParser((value: string, before: Record<string, string> = {}) => ({
        ...before,
        ...parseMap(name, value),
      }));
    else if (name === 'host') option.argParser((value: string, before: string[] = []) => [...before, value]);
    else if (meta.file) option.argParser((value: string) => readFile[meta.file!](value, `--${meta.flag}`));
    command.addOption(option);
  }
}

/** For the help alone: commander's own default would be a value that was given. */
function defaultWords(fallback: unknown): string {
  const text = Array.isArray(fallback) ? fallback.join(',') : fallback;
  return (typeof text === 'string' && text !== '') || typeof text === 'number' ? ` (default: ${text})` : '';
}

/** The fields that were given on the command line, by their names in the spec. */
export function specFromOptions(command: Command): Partial<ClusterSpecInput> {
  const given: Record<string, unknown> = {};
  for (const { name, meta } of fields) {
    const negated = meta.flag.startsWith('no-');
    const key = camelCase(negated ? meta.flag.slice(3) : meta.flag);
    if (command.getOptionValueSource(key) !== 'cli') continue;
    const value = command.getOptionValue(key);
    given[name] = meta.file === 'kubeconfig' ? (value as KubeconfigFile).name : value;
  }
  // -h A -h B: the first one is the name that clients are given.
  if (Array.isArray(given.host)) {
    const [host, ...more] = given.host as string[];
    given.host = host;
    if (more.length > 0) given.moreHosts = [...more, ...((given.moreHosts as string[] | undefined) ?? [])];
  }
  // Who names the manifests has said which network it is.
  if (given.networkManifest !== undefined) given.network ??= 'manifest';
  return given as Partial<ClusterSpecInput>;
}

/** A kubeconfig has keys, and the spec lies in a ConfigMap: its name stands there. */
export interface KubeconfigFile {
  name: string;
  text: string;
}

const readFile = {
  yaml: readYaml,
  text: readText,
  manifests: readManifests,
  kubeconfig(file: string, what: string): KubeconfigFile {
    const text = readText(file, what);
    webhookServer(text);
    return { name: webhookName(text), text };
  },
};

/** Reads YAML that a person wrote; a mistake is reported with its line. */
export function readYaml(file: string, what: string): unknown {
  const text = readText(file, what);
  try {
    return text.trim() === '' ? {} : load(text);
  } catch (error) {
    const mark = (error as { mark?: { line: number; column: number } }).mark;
    const reason = (error as { reason?: string }).reason ?? messageOf(error);
    throw new UserError({
      what: `${file} is not valid YAML`,
      why: mark ? `line ${mark.line + 1}, column ${mark.column + 1}: ${reason}` : reason,
      fix: 'correct that line',
      anchor: 'bad-file',
      kind: 'usage',
      cause: error,
    });
  }
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError('read', `${file} (${what})`, error);
  }
}

/** A file of manifests, or all of a folder in the order of their names, as kubectl apply reads them. */
function readManifests(place: string, what: string): string {
  const isFolder = statSync(place, { throwIfNoEntry: false })?.isDirectory();
  if (!isFolder) return readText(place, what);
  const files = readdirSync(place)
    .filter((file) => /\.(ya?ml|json)$/.test(file))
    .sort();
  if (files.length > 0) return files.map((file) => readText(path.join(place, file), what)).join('\n---\n');
  throw new UserError({
    what: `${place} (${what}) has no file that ends in .yaml, .yml or .json`,
    fix: 'name the folder that has the manifests, or one file',
    anchor: 'bad-file',
    kind: 'usage',
  });
}

/** Comma-separated lists are kubectl's habit; arguments and resources may hold commas of their own. */
function splitList(name: string, value: string): string[] {
  return name === 'sans' || name === 'tolerations' ? value.split(',').filter(Boolean) : [value];
}

/** Whose values can hold no comma: several of them may stand in one, as in kubectl and in Kubernetes' own flags. */
const withoutCommas = ['featureGates', 'nodeSelector'];

function parseMap(name: string, value: string): Record<string, string> {
  const pairs = withoutCommas.includes(name) ? value.split(',').filter(Boolean) : [value];
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new InvalidArgumentError(`"${pair}" has to be KEY=VALUE.`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
