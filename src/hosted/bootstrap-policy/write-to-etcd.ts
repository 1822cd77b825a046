import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { EtcdGateway } from '../../etcd/gateway.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import type { Reporter } from '../../ui/reporter.ts';
import { cachedPolicy, cachePolicy } from './cache.ts';
import { readPolicy, storedPolicy } from './policy.ts';

/**
 * Writes the bootstrap policy of its version into the etcd of a new plane, if an earlier plane has left it here, while the
 * API server is still being started; that finds it, and goes on. Nothing depends on it: what goes wrong is told to those who
 * want to know everything.
 *
 * @param folder what an earlier plane left; see keepPolicy
 * @param signal ends the attempt: when the API server answers it has begun by itself
 */
export async function writePolicyToEtcd(
  folder: string,
  cluster: InfraCluster,
  bundle: PkiBundle,
  spec: ClusterSpec,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const policy = keepsElsewhere(spec) ? undefined : cachedPolicy(folder, spec.kubernetesVersion);
  if (!policy) return;
  const gateway = EtcdGateway.ofPod(cluster, bundle, 'etcd-0');
  const pairs = storedPolicy(policy);
  for (let last = ''; !signal.aborted; ) {
    try {
      const written = await gateway.create(pairs, signal);
      reporter.debug(
        written
          ? `bootstrap policy of ${spec.kubernetesVersion} written to etcd`
          : 'etcd has a bootstrap policy already',
      );
      return;
    } catch (error) {
      // etcd's port opens a moment after its container starts.
      if (messageOf(error) !== last) reporter.debug(`bootstrap policy: ${messageOf(error)}`);
      last = messageOf(error);
      await sleep(50);
    }
  }
}

/**
 * Leaves the bootstrap policy of a first plane in `folder` for the next ones of that version. Flags of one's own may change what an
 * API server begins with, so then it does not.
 */
export async function keepPolicy(
  folder: string,
  hosted: HostedCluster,
  spec: ClusterSpec,
  reporter: Reporter,
): Promise<void> {
  if (spec.apiServerArgs.length > 0 || cachedPolicy(folder, spec.kubernetesVersion)) return;
  try {
    const policy = await readPolicy(hosted, spec.kubernetesVersion);
    cachePolicy(folder, policy);
    reporter.debug(
      `bootstrap policy of ${spec.kubernetesVersion} kept: ${policy.objects.length} objects, SHA-256 ${policy.sha256}`,
    );
  } catch (error) {
    reporter.debug(`bootstrap policy not kept: ${messageOf(error)}`);
  }
}

function keepsElsewhere({ apiServerArgs }: ClusterSpec): boolean {
  return apiServerArgs.some((argument) => /^(--)?etcd-prefix\b/.test(argument));
}
