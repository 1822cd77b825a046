import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { type ClusterSpecInput, clusterSpec } from '../../config/schema.ts';
import { readYaml } from './spec-options.ts';

/** Options of cluster.yaml that are not about the cluster itself but about this run. */
const localKeys = ['namespace', 'kubeconfig', 'context', 'dir', 'timeout'] as const;

export type ClusterFile = { spec: Partial<ClusterSpecInput> } & { [key in (typeof localKeys)[number]]?: string };

/**
 * Reads a cluster.yaml: the fields of the spec, and where and how to deploy it, on one level.
 *
 * @throws UserError (kind `usage`) for broken YAML, a list or scalar at the top, and unknown keys, each with a suggestion
 */
export function readClusterFile(file: string | undefined): ClusterFile {
  if (file === undefined) return { spec: {} };
  const content = readYaml(file, '--file');
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UserError({
      what: `${file} has to be a mapping of options such as "host: k.example.com"`,
      fix: 'see cluster.yaml in the README',
      anchor: 'bad-file',
      kind: 'usage',
    });
  }
  const known = [...Object.keys(clusterSpec.shape), ...localKeys];
  const unknown = Object.keys(content).filter((key) => !known.includes(key));
  if (unknown.length > 0) {
    throw new UserError({
      what: `${file} has ${unknown.length === 1 ? 'a key' : 'keys'} that k8sk8s does not know: ${unknown.map((key) => `"${key}"${didYouMean(key, known)}`).join(', ')}`,
      fix: `correct or remove ${unknown.length === 1 ? 'it' : 'them'}; k8sk8s deploy --help lists all options`,
      anchor: 'bad-file',
      kind: 'usage',
    });
  }
  const local: Record<string, string> = {};
  const spec: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(content)) {
    if (!(localKeys as readonly string[]).includes(key)) spec[key] = value;
    else if (typeof value === 'string' || typeof value === 'number') local[key] = String(value);
    else
      throw new UserError({
        what: `"${key}" in ${file} has to be a string`,
        fix: 'correct it',
        anchor: 'bad-file',
        kind: 'usage',
      });
  }
  return { spec, ...local };
}
