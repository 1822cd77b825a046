import { isIpv4 } from '../../base/cidr.ts';
import type { Finding } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Pod, Service } from '../../kube/objects.ts';
import { addressesBehind, balancedAt, saidOfBalancer } from '../../live/load-balancer.ts';
import { apiserverService, loadBalancerIp } from '../../plane/addresses.ts';
import { isBalanced } from '../../plane/components/kube-apiserver/service.ts';

/** The load balancer of a plane as it is now; its controller may give another address at any time. */
export interface BalancerStatus {
  /** Addresses or names in the status of the service; empty where there is none. */
  at: string[];
  /** What its controller says where there is no address. */
  says?: string;
  /** Where HOST leads, as this machine resolves it; absent where people do not dial the load balancer. */
  hostLeadsTo?: string[];
  /** The names among `at`, resolved here. */
  resolved: string[];
  /** Addresses that API servers publish for pods of the hosted cluster, and that the load balancer has no more. */
  stale: string[];
}

/** @param pods of the plane @returns undefined for a plane that has none */
export async function balancerStatus(
  cluster: InfraCluster,
  spec: ClusterSpec,
  pods: Pod[],
): Promise<BalancerStatus | undefined> {
  if (!isBalanced(spec)) return undefined;
  const service = await cluster.get<Service>({ apiVersion: 'v1', kind: 'Service' }, apiserverService);
  if (!service) return undefined;
  const at = balancedAt(service);
  const published = spec.inCluster === 'loadbalancer' ? pods.flatMap(publishedBy) : [];
  return {
    at,
    ...(at.length === 0 && { says: await saidOfBalancer(cluster, service) }),
    ...(spec.expose === 'loadbalancer' &&
      cluster.hostedBy !== 'service' && { hostLeadsTo: await addressesBehind(spec.host) }),
    resolved: (await Promise.all(at.map(addressesBehind))).flat(),
    stale: [...new Set(published)].filter((address) => address !== loadBalancerIp(service)),
  };
}

function publishedBy({ metadata, spec }: Pod): string[] {
  if (metadata.deletionTimestamp) return [];
  const args = spec.containers.find(({ name }) => name === 'kube-apiserver')?.args ?? [];
  return args.flatMap((argument) => /^--advertise-address=(.+)$/.exec(argument)?.[1] ?? []);
}

/** Pure. */
export function balancerProblems(
  { host, namespace }: { host: string; namespace: string },
  balancer: BalancerStatus | undefined,
): Finding[] {
  if (!balancer) return [];
  const { at, says, hostLeadsTo, resolved, stale } = balancer;
  if (at.length === 0)
    return [
      {
        what: 'the service "apiserver" has no address of a load balancer',
        why: says === undefined ? undefined : `its controller says: ${says}`,
        fix: `look at: kubectl -n ${namespace} describe service apiserver`,
        anchor: 'no-load-balancer',
        severity: 'fatal',
      },
    ];
  const now = at.join(', ');
  const findings: Finding[] = [];
  if (hostLeadsTo && !hostLeadsTo.some((address) => resolved.includes(address)))
    findings.push({
      what: `the load balancer is at ${now}, and ${host} ${isIpv4(host) ? 'is another address' : `leads to ${hostLeadsTo.join(', ') || 'nothing'} from here`}`,
      fix: isIpv4(host)
        ? words`move the plane there: ${command('deploy', namespace, field('host', at[0]!))}`
        : `let ${host} lead there (DNS)`,
      anchor: 'load-balancer-moved',
      severity: 'warning',
    });
  if (stale.length > 0)
    findings.push({
      what: `pods of the hosted cluster dial ${stale.join(', ')}, and the load balancer is at ${now}`,
      fix: words`run ${command('deploy', namespace)} again, which publishes its address`,
      anchor: 'load-balancer-moved',
      severity: 'fatal',
    });
  return findings;
}
