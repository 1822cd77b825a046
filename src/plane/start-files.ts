import { createHash } from 'node:crypto';
import type { KubeObject, Secret } from '../kube/objects.ts';
import { isCertificate } from './read-at-start.ts';
import { secretsByContent } from './secrets.ts';

/*
 * Files that a program reads only at its start, certificates aside, lie in Secrets that are named by what is in them and are
 * never changed (docs/adr/0041-start-files-named-by-content.md).
 */

/** Label of such a Secret; its value is the Secret of the component beside which it is mounted. */
export const startFilesOf = 'k8sk8s.io/start-files-of';

/** The Secret with the start files, by the Secret beside which it is mounted. */
export type StartFiles = Record<string, string>;

/** Pure. */
export function isStartFiles({ kind, metadata }: Pick<KubeObject, 'kind' | 'metadata'>): boolean {
  return kind === 'Secret' && metadata.labels?.[startFilesOf] !== undefined;
}

/** Parts the plane's Secrets: what is changed in place, and what is named by its content. Pure. */
export function partStartFiles(secrets: Secret[]): { secrets: Secret[]; startFiles: StartFiles } {
  const parts = secrets.flatMap((secret) =>
    secretsByContent.includes(secret.metadata.name) ? part(secret) : [secret],
  );
  const named = parts.filter(isStartFiles);
  return {
    secrets: parts,
    startFiles: Object.fromEntries(named.map(({ metadata }) => [metadata.labels![startFilesOf]!, metadata.name])),
  };
}

function part(secret: Secret): Secret[] {
  const { name } = secret.metadata;
  const files = Object.entries(secret.data ?? {});
  const isChangedInPlace = ([file]: [string, string]) => isCertificate(file, secret);
  const start = files.filter((file) => !isChangedInPlace(file)).sort();
  const hash = createHash('sha256').update(JSON.stringify(start)).digest('hex').slice(0, 10);
  return [
    { ...secret, data: Object.fromEntries(files.filter(isChangedInPlace)) },
    {
      ...secret,
      metadata: { name: `${name}-${hash}`, labels: { ...secret.metadata.labels, [startFilesOf]: name } },
      immutable: true,
      data: Object.fromEntries(start),
    },
  ];
}

/** The Secrets as the pods of a workload find them: each with the start files that are mounted beside it. Pure. */
export function withStartFiles(secrets: Secret[], workload: KubeObject): Secret[] {
  const mounted = secretsMountedBy(workload);
  const named = secrets.filter((secret) => isStartFiles(secret) && mounted.has(secret.metadata.name));
  return secrets
    .filter((secret) => !isStartFiles(secret))
    .map((secret) => {
      const beside = named.find(({ metadata }) => metadata.labels?.[startFilesOf] === secret.metadata.name);
      return beside ? { ...secret, data: { ...secret.data, ...beside.data } } : secret;
    });
}

interface Mounts {
  volumes?: { secret?: { secretName?: string }; projected?: { sources?: { secret?: { name?: string } }[] } }[];
}

/** Names of the Secrets that a pod, or the pods of a workload, mount. Pure. */
export function secretsMountedBy(object: KubeObject): Set<string> {
  const { spec } = object as KubeObject & { spec?: Mounts & { template?: { spec: Mounts } } };
  const { volumes = [] } = spec?.template?.spec ?? spec ?? {};
  const names = volumes.flatMap(({ secret, projected }) => [
    secret?.secretName,
    ...(projected?.sources ?? []).map(({ secret: source }) => source?.name),
  ]);
  return new Set(names.filter((name) => name !== undefined));
}
