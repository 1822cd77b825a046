import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Secret } from '../kube/objects.ts';
import { partOf } from '../plane/names.ts';

/** The Secret of --image-pull-secret as it is called in the hosted cluster, beside the pods that are pulled with it. */
export const pullSecretCopy = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'k8sk8s-image-pull', namespace: 'kube-system' },
};

/** The key of each type of Secret that kubelets pull images with. */
const keys: Record<string, string> = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
};

/** What keeps kubelets from pulling images with a Secret; undefined when nothing does. Pure. */
export function unfitForPulls({ type = 'Opaque', data = {} }: Secret): string | undefined {
  const key = keys[type];
  if (key === undefined) return `it is of type ${type}, and kubelets pull images with one of ${Object.keys(keys)[0]}`;
  return data[key] === undefined ? `its key ${key} is missing` : undefined;
}

/**
 * The copy for the hosted cluster, as the namespace's Secret is now.
 *
 * @returns nothing where no Secret was asked for
 * @throws UserError `image-pull-secret` when the namespace has it no more
 */
export async function hostedPullSecret(cluster: InfraCluster, spec: ClusterSpec): Promise<KubeObject[]> {
  const name = spec.imagePullSecret;
  if (name === undefined) return [];
  const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, name);
  const problem = secret ? unfitForPulls(secret) : 'it is not there';
  if (problem !== undefined)
    throw new UserError({
      what: `secret "${name}" of namespace "${cluster.namespace}" cannot be given to the hosted cluster`,
      why: problem,
      fix: words`create it (kubectl -n ${cluster.namespace} create secret docker-registry ${name} …) or name another one with ${field('imagePullSecret')}, and ${again}`,
      anchor: 'image-pull-secret',
    });
  const labels = { 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf };
  const { type, data } = secret!;
  const copy: Secret = { ...pullSecretCopy, metadata: { ...pullSecretCopy.metadata, labels }, type, data };
  return [copy];
}
