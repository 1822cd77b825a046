import {
  boolYaml11Tag,
  CORE_SCHEMA,
  defineScalarTag,
  loadAll,
  mergeTag,
  NOT_RESOLVED,
  nullYaml11Tag,
  YAMLException,
} from 'js-yaml';
import { z } from 'zod';

/** A kubeconfig as it is written (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/), entries by their names. */
export interface KubeconfigFile {
  currentContext: string;
  clusters: Map<string, ClusterEntry>;
  users: Map<string, UserEntry>;
  contexts: Map<string, ContextEntry>;
}

export type ClusterEntry = z.infer<typeof cluster>;
export type UserEntry = z.infer<typeof user>;
export type ContextEntry = z.infer<typeof context>;
export type ExecEntry = NonNullable<UserEntry['exec']>;

/**
 * Reads the text of a kubeconfig as strictly as kubectl: no field may be of another type, in no entry, and no name may be
 * there twice; unknown fields, more documents and a key given twice pass. Text without content is an empty kubeconfig.
 *
 * @throws Error that says where the text is wrong, and repeats nothing of it: there may be keys in it
 */
export function decodeKubeconfig(text: string): KubeconfigFile {
  const parsed = config.safeParse(parse(text) ?? {});
  if (!parsed.success) throw new Error(describeIssue(parsed.error.issues[0]!));
  const { kind, apiVersion, clusters, users, contexts, ...rest } = parsed.data;
  if (kind !== '' && kind !== 'Config') throw new Error('its kind is not Config');
  if (apiVersion !== '' && apiVersion !== 'v1') throw new Error('its apiVersion is not v1');
  return {
    currentContext: rest['current-context'],
    clusters: byName('clusters', clusters, (entry) => entry.cluster),
    users: byName('users', users, (entry) => entry.user),
    contexts: byName('contexts', contexts, (entry) => entry.context),
  };
}

function byName<E extends { name: string }, T>(list: string, entries: E[], contentOf: (entry: E) => T): Map<string, T> {
  const found = new Map<string, T>();
  for (const entry of entries) {
    if (found.has(entry.name)) throw new Error(`two of its ${list} have the name "${entry.name}"`);
    found.set(entry.name, contentOf(entry));
  }
  return found;
}

/** Numbers as Go's YAML takes them; only whether something is one matters here, since no field may be. */
const number = defineScalarTag<number>('tag:yaml.org,2002:float', {
  implicit: true,
  implicitFirstChars: [...'+-.0123456789'],
  resolve: (source) => {
    if (/^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$/.test(source)) return Number.NaN;
    const plain = source.startsWith('.') ? source : source.replaceAll('_', '');
    const isInteger = /^[-+]?(0|[1-9]\d*|0[0-7]+|0o[0-7]+|0x[\da-f]+|0b[01]+)$/i.test(plain);
    const isFloat = /^[-+]?(\.\d+|\d+(\.\d*)?)(e[-+]?\d+)?$/i.test(plain);
    return isInteger || isFloat ? Number(plain) : NOT_RESOLVED;
  },
  identify: () => false,
});
const schema = CORE_SCHEMA.withTags(nullYaml11Tag, boolYaml11Tag, number, mergeTag);

function parse(text: string): unknown {
  try {
    return loadAll(firstDocument(text), { schema, json: true })[0];
  } catch (error) {
    // The parser's own message quotes the text.
    if (error instanceof YAMLException && error.mark) throw new Error(`line ${error.mark.line + 1} is not valid YAML`);
    throw new Error('it is not valid YAML');
  }
}

/** Whatever comes after the first document is not looked at. */
function firstDocument(text: string): string {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  let begun = false;
  for (const [index, line] of lines.entries()) {
    if (/^(---|\.\.\.)(\s|$)/.test(line)) {
      if (begun) return lines.slice(0, index).join('\n');
      begun = line.startsWith('---');
    } else if (!/^\s*(#|%|$)/.test(line)) begun = true;
  }
  return lines.join('\n');
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
const texts = z
  .array(text)
  .nullish()
  .transform((value) => value ?? []);
/** PEM in base64, with line breaks anywhere. */
const data = text
  .refine(
    (value) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value.replace(/[\r\n]/g, '')),
    {
      message: 'is not base64',
    },
  )
  .transform((value) => Buffer.from(value, 'base64').toString('utf8'));

function fields<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess((value) => value ?? {}, z.object(shape));
}
function list<T extends z.ZodType>(entry: T) {
  return z
    .array(entry)
    .nullish()
    .transform((value) => value ?? []);
}

const extensions = list(fields({ name: text, extension: z.unknown() }));
const cluster = fields({
  server: text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': flag,
  'certificate-authority': text,
  'certificate-authority-data': data,
  'proxy-url': text,
  'disable-compression': flag,
  extensions,
});
const exec = z.object({
  command: text,
  args: texts,
  env: list(fields({ name: text, value: text })),
  apiVersion: text,
  installHint: text,
  provideClusterInfo: flag,
  interactiveMode: text,
});
const user = fields({
  'client-certificate': text,
  'client-certificate-data': data,
  'client-key': text,
  'client-key-data': data,
  token: text,
  tokenFile: text,
  as: text,
  'as-uid': text,
  'as-groups': texts,
  'as-user-extra': z
    .record(z.string(), texts)
    .nullish()
    .transform((value) => value ?? {}),
  username: text,
  password: text,
  'auth-provider': z
    .object({
      name: text,
      config: z
        .record(z.string(), text)
        .nullish()
        .transform((value) => value ?? {}),
    })
    .nullish(),
  exec: exec.nullish(),
  extensions,
});
const context = fields({ cluster: text, user: text, namespace: text, extensions });
const config = z.object({
  kind: text,
  apiVersion: text,
  'current-context': text,
  clusters: list(fields({ name: text, cluster })),
  users: list(fields({ name: text, user })),
  contexts: list(fields({ name: text, context })),
});

/** Where it is, and what should be there. */
function describeIssue(issue: z.core.$ZodIssue): string {
  const place = issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  if (place === '') return 'it has no fields';
  const wanted =
    issue.code === 'invalid_type'
      ? `is not a ${issue.expected === 'record' ? 'mapping' : issue.expected}`
      : issue.message;
  return `${place.slice(1)} ${wanted}`;
}
