import { contains, networksIn, overlaps, parseCidr } from '../../base/cidr.ts';
import { UserError } from '../../base/errors.ts';
import { type Words, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { Pod } from '../../kube/objects.ts';

interface Clash {
  what: Words;
  why: string;
  fix: Words;
}

/** What of the infra cluster has an address that the hosted cluster takes for its own. Pure. */
export function clashOf(spec: ClusterSpec, pods: Pod[], services: string[]): Clash | undefined {
  for (const name of ['serviceCidr', 'podCidr'] as const) {
    // A plane with worker pods has IPv4 networks alone.
    const [own] = networksIn(spec[name]);
    const network = services.find((text) => {
      const other = parseCidr(text);
      return other !== undefined && overlaps(own, other);
    });
    const pod = pods.find(({ status }) => status?.podIP !== undefined && contains(own, status.podIP));
    if (network === undefined && pod === undefined) continue;
    return {
      what:
        network !== undefined
          ? words`${field(name, own.text)} meets the infra cluster's service network ${network}`
          : words`${field(name, own.text)} contains ${pod!.status!.podIP!}, the address of pod ${pod!.metadata.name} of the infra cluster`,
      why: 'a worker pod has an address of the infra cluster and asks its DNS server, so it would look for them inside of the hosted cluster',
      fix: words`choose another ${field(name)}; of a plane that is there it cannot change any more`,
    };
  }
  return undefined;
}

/** For when the plane has pods, which a namespace that was empty at preflight had not. @throws UserError `networks` */
export function demandApart(spec: ClusterSpec, pods: Pod[]): void {
  const clash = clashOf(spec, pods, []);
  if (clash) throw new UserError({ ...clash, anchor: 'networks' });
}
