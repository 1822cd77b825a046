import { UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { shareCertificate } from '../pki/inspect.ts';
import { describeAuthority, type KubeconfigFacts, readKubeconfig } from './read.ts';
import { field, type Mapping, nameOf, root, type Sequence, setField, write } from './tree.ts';

export interface MergeOptions {
  /** Make our context the current one; otherwise current-context stays as it is, set or not. */
  setCurrentContext?: boolean;
  /** Replace entries of our names even when they belong to another cluster. */
  force?: boolean;
}

/**
 * Puts the cluster, the user and the context of `ours`, a kubeconfig of one cluster, into the text of another
 * kubeconfig. Entries of these names are replaced where they stand, else added at the end; everything else stays as
 * it is, written as it was (quotes, number forms, unknown keys, anchors), but for comments, which are lost as with
 * kubectl. Merging the same twice gives the same text.
 *
 * @param existing text of the file, empty when there is none
 * @param path for error messages only
 * @throws UserError when `existing` is not a kubeconfig, or uses our names for another cluster
 */
export function mergeKubeconfig(existing: string, ours: string, path: string, options: MergeOptions = {}): string {
  const theirs = readKubeconfig(existing, path);
  if (!options.force) refuseOthersEntries(theirs, readKubeconfig(ours, 'our kubeconfig'), path);
  const addition = root(ours)!;
  const target = root(existing) ?? root('apiVersion: v1\nkind: Config\n')!;
  for (const key of ['clusters', 'users', 'contexts']) mergeList(target, key, listOf(addition, key));
  if (options.setCurrentContext) setField(target, 'current-context', field(addition, 'current-context')!.value);
  return write(target, path);
}

function listOf(mapping: Mapping, key: string): Sequence {
  const value = field(mapping, key)?.value;
  return value?.kind === 'sequence' ? value : emptyList();
}

function mergeList(target: Mapping, key: string, additions: Sequence): void {
  const list = listOf(target, key);
  // `clusters: []` is written in flow style; entries added to it are to be read by people.
  if (list.items.length === 0) list.style = additions.style;
  for (const addition of additions.items) {
    const place = list.items.findIndex((item) => nameOf(item) === nameOf(addition));
    if (place === -1) list.items.push(addition);
    else list.items[place] = addition;
  }
  setField(target, key, list);
}

function emptyList(): Sequence {
  return { kind: 'sequence', tag: 'tag:yaml.org,2002:seq', tagged: false, style: 1, items: [] };
}

/** Our names may be taken by another cluster, by a user of one, or by a context that leads to one. */
function refuseOthersEntries(theirs: KubeconfigFacts, ours: KubeconfigFacts, path: string): void {
  const sameCluster = theirs.clusters.find((cluster) => cluster.name === ours.clusterName);
  const context = theirs.contexts.find((each) => each.name === ours.currentContext);
  const userElsewhere = theirs.contexts.find(
    (each) => each.user === ours.userName && each.cluster !== ours.clusterName,
  );
  const refuse = (why: string) =>
    new UserError({
      what: `${path} already has entries of another cluster under our names`,
      why,
      fix: words`rename them there (kubectl config rename-context), or replace them with ${option('force')}`,
      anchor: 'file-of-another-cluster',
      kind: 'refused',
    });
  if (sameCluster && !shareCertificate(sameCluster.certificateAuthority ?? '', ours.certificateAuthority ?? '')) {
    throw refuse(
      `its cluster "${sameCluster.name}" is ${sameCluster.server ?? 'without a server'} (${describeAuthority(sameCluster.fingerprint)}), ours is ${ours.server} (${describeAuthority(ours.fingerprint)})`,
    );
  }
  if (context && context.cluster !== ours.clusterName) {
    throw refuse(
      `its context "${context.name}" leads to the cluster "${context.cluster ?? ''}", ours to "${ours.clusterName}" at ${ours.server}`,
    );
  }
  if (userElsewhere) {
    throw refuse(
      `its user "${userElsewhere.user}" belongs to the context "${userElsewhere.name}" of the cluster "${userElsewhere.cluster ?? ''}", ours to "${ours.clusterName}" at ${ours.server}`,
    );
  }
}

/** Takes the cluster, the user and the context that `name` names out of the text of a kubeconfig; everything else stays as it is. */
export function forgetContext(existing: string, name: string, path: string): string {
  const target = root(existing);
  if (!target) return existing;
  for (const [key, entry] of [
    ['clusters', name],
    ['contexts', name],
    ['users', `${name}-admin`],
  ] as const) {
    const list = listOf(target, key);
    list.items = list.items.filter((item) => nameOf(item) !== entry);
    // As kubectl writes it: in block style, an empty list would be none.
    if (list.items.length === 0) list.style = emptyList().style;
  }
  return write(target, path);
}
