import { type Words, words } from '../base/words.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';

const flannelOptions = ['flannelMtu', 'flannelPort', 'flannelInterface'] as const;

/** What is wrong with the network of pods and its options, a sentence each. Pure. */
export function networkProblems(spec: ClusterSpec): Words[] {
  const problems: Words[] = [];
  const given = flannelOptions.filter((name) => spec[name] !== undefined);
  if (spec.network !== 'flannel')
    for (const name of given) problems.push(words`${field(name)} has no use with ${field('network', spec.network)}`);
  if (spec.network === 'manifest' && spec.networkManifest === undefined)
    problems.push(words`${field('network', 'manifest')} needs ${field('networkManifest', 'FILE')}`);
  if (spec.flannelBackend === 'host-gw' && spec.flannelPort !== undefined)
    problems.push(
      words`${field('flannelPort')} has no use with ${field('flannelBackend', 'host-gw')}, which sends no packets inside of others: leave one of them out`,
    );
  return problems;
}
