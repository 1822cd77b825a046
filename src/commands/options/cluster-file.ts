import { isDeepStrictEqual } from 'node:util';
import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { lifeFields, hostedControlPlane as object } from '../../config/hosted-control-plane.ts';
import { type ClusterSpecInput, clusterSpec } from '../../config/schema.ts';
import { readYaml } from './spec-options.ts';

/** Options of a flat cluster.yaml that are not about the cluster itself but about this run. */
const localKeys = ['namespace', 'kubeconfig', 'context', 'dir', 'timeout'] as const;

const metadataKeys = ['name', 'namespace', 'labels', 'annotations'];

export type ClusterFile = { spec: Partial<ClusterSpecInput> } & { [key in (typeof localKeys)[number]]?: string };

type Mapping = Record<string, unknown>;

/**
 * Reads a cluster.yaml. It is an object with apiVersion, kind, metadata.namespace and spec; or flat: the fields of the spec,
 * and where and how to deploy it, on one level.
 *
 * @throws UserError (kind `usage`) for broken YAML, a list or scalar at the top, another apiVersion or kind, and unknown
 * keys, each with a suggestion
 */
export function readClusterFile(file: string | undefined): ClusterFile {
  if (file === undefined) return { spec: {} };
  const content = mappingOf(readYaml(file, '--file'), file, 'options such as "host: k.example.com"');
  return 'apiVersion' in content || 'kind' in content ? ofObject(content, file) : ofFlat(content, file);
}

function ofObject(content: Mapping, file: string): ClusterFile {
  for (const [key, value] of Object.entries(object))
    if (content[key] !== value)
      throw badFile({
        what: `"${key}" in ${file} ${content[key] === undefined ? 'is missing' : `is "${content[key]}"`}`,
        why: `this k8sk8s reads ${object.kind} of ${object.apiVersion}`,
        fix: `write ${key}: ${value}, or use the k8sk8s that the file was made for`,
      });
  refuseUnknown(Object.keys(content), [...Object.keys(object), 'metadata', 'spec'], file, (key) =>
    (localKeys as readonly string[]).includes(key) ? ' (that is for the command line)' : '',
  );
  const metadata = mappingOf(content.metadata ?? {}, `metadata in ${file}`, 'fields such as "namespace: team-a"');
  refuseUnknown(Object.keys(metadata), metadataKeys, `metadata in ${file}`);
  const spec = mappingOf(content.spec ?? {}, `spec in ${file}`, 'options such as "host: k.example.com"');
  const life = Object.keys(lifeFields.shape);
  refuseUnknown(Object.keys(spec), [...Object.keys(clusterSpec.shape), ...life], `spec in ${file}`);
  refuseLife(spec, file);
  const { namespace } = metadata;
  const fields = Object.fromEntries(Object.entries(spec).filter(([key]) => !life.includes(key)));
  return { spec: fields, ...(namespace !== undefined && { namespace: textOf(namespace, 'metadata.namespace', file) }) };
}

/** What the operator alone brings about would be passed over here, unless it says what holds anyway. */
function refuseLife(spec: Mapping, file: string): void {
  for (const [key, schema] of Object.entries(lifeFields.shape)) {
    const usual = schema.safeParse(undefined).data ?? false;
    if (spec[key] === undefined || isDeepStrictEqual(spec[key], usual)) continue;
    throw badFile({
      what: `"${key}: ${spec[key]}" in ${file} is for the operator`,
      why: 'deploy makes a plane, and what becomes of it later is said by commands',
      fix: `take it out${key === 'asleep' ? ', and use k8sk8s sleep or wake' : ''}; or let the operator bring the file about: kubectl apply -f ${file}`,
    });
  }
}

function ofFlat(content: Mapping, file: string): ClusterFile {
  refuseUnknown(Object.keys(content), [...Object.keys(clusterSpec.shape), ...localKeys], file);
  const isLocal = ([key]: [string, unknown]) => (localKeys as readonly string[]).includes(key);
  const entries = Object.entries(content);
  return {
    spec: Object.fromEntries(entries.filter((entry) => !isLocal(entry))),
    ...Object.fromEntries(entries.filter(isLocal).map(([key, value]) => [key, textOf(value, key, file)])),
  };
}

function mappingOf(value: unknown, where: string, what: string): Mapping {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Mapping;
  throw badFile({ what: `${where} has to be a mapping of ${what}`, fix: 'see cluster.yaml in the README' });
}

function refuseUnknown(keys: string[], known: string[], where: string, hint: (key: string) => string = () => ''): void {
  const unknown = keys.filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw badFile({
    what: `${where} has ${unknown.length === 1 ? 'a key' : 'keys'} that k8sk8s does not know: ${unknown.map((key) => `"${key}"${hint(key) || didYouMean(key, known)}`).join(', ')}`,
    fix: `correct or remove ${unknown.length === 1 ? 'it' : 'them'}; k8sk8s deploy --help lists all options`,
  });
}

function textOf(value: unknown, key: string, file: string): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw badFile({ what: `"${key}" in ${file} has to be a string`, fix: 'correct it' });
}

function badFile(init: { what: string; why?: string; fix: string }): UserError {
  return new UserError({ ...init, anchor: 'bad-file', kind: 'usage' });
}
