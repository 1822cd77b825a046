import { option, words } from '../base/words.ts';
import type { Connection, Proxies } from '../kube/connection.ts';
import { proxiesOf } from '../kube/proxy.ts';
import { checkCredentials, credentialsOf, impersonationOf } from './credentials.ts';
import type { ClusterEntry, UserEntry } from './decode.ts';
import { inClusterConnection, isInCluster, namespaceInCluster } from './in-cluster.ts';
import { isEmpty, type KubeconfigChoice, loadKubeconfigs, type MergedKubeconfig, type Origin } from './load.ts';
import { kubeconfigError } from './problem.ts';
import { checkTrust, proxyUrlOf, serverOf, trustOf } from './server.ts';
import type { Surroundings } from './surroundings.ts';

/** A chosen context. */
export interface ChosenContext {
  connection: Connection;
  /** The namespace that it names. */
  namespace?: string;
  /** Its namespace first, then those of all other contexts for the same cluster; `default` where none is named. */
  namespaces: string[];
}

/**
 * Finds out how to reach the infra cluster: by the kubeconfigs, or, where there is no configuration at all, as the service
 * account of the pod that this runs in. Files that are named are opened; nothing is sent.
 *
 * @throws UserError `infra-kubeconfig` or `infra-credentials`, which names the file, the entry and the field
 */
export function chooseContext(choice: KubeconfigChoice, surroundings: Surroundings): ChosenContext {
  const merged = loadKubeconfigs(choice, surroundings);
  if (isEmpty(merged) && !choice.context && isInCluster(surroundings)) {
    const namespace = namespaceInCluster(surroundings);
    return { connection: inClusterConnection(surroundings), namespace, namespaces: [namespace] };
  }
  const name = contextName(choice, merged);
  const { entry: context, file } = merged.contexts.get(name)!;
  const where = `context "${name}" of ${file}`;
  const cluster = merged.clusters.get(context.cluster);
  if (!cluster)
    throw kubeconfigError({
      what: `${where} leads to no cluster`,
      why: context.cluster
        ? `its cluster "${context.cluster}" is not there`
        : 'it has no field cluster, and nothing falls back to localhost:8080',
      fix: words`correct the context (kubectl config set-context), or choose another one with ${option('context', 'NAME')}`,
    });
  const others = [...merged.contexts.values()].filter(({ entry }) => entry.cluster === context.cluster);
  return {
    connection: connectionOf(cluster, context.cluster, merged.users.get(context.user), context.user, surroundings),
    namespace: context.namespace || undefined,
    namespaces: [...new Set([context, ...others.map(({ entry }) => entry)].map((each) => each.namespace || 'default'))],
  };
}

function contextName({ context }: KubeconfigChoice, merged: MergedKubeconfig): string {
  const known = [...merged.contexts.keys()];
  const contexts = known.length > 0 ? `it has ${known.join(', ')}` : 'it has no context at all';
  const name = context || merged.currentContext;
  if (merged.contexts.has(name) && name !== '') return name;
  if (merged.files.length === 0)
    throw kubeconfigError({
      what: `there is no kubeconfig at ${merged.looked}`,
      why: 'nothing falls back to localhost:8080, nor to a variable KUBERNETES_MASTER',
    });
  const files = merged.files.join(', ');
  if (name === '')
    throw kubeconfigError({
      what: isEmpty(merged) ? `the kubeconfig ${files} is empty` : `the kubeconfig ${files} has no current-context`,
      why: contexts,
      fix: words`choose a context with ${option('context', 'NAME')}, or another kubeconfig with ${option('kubeconfig', 'FILE')}`,
    });
  throw kubeconfigError({
    what: `the kubeconfig ${files} has no context "${name}"`,
    why: contexts,
    fix: words`choose one with ${option('context', 'NAME')}`,
  });
}

function connectionOf(
  cluster: Origin<ClusterEntry>,
  clusterName: string,
  user: Origin<UserEntry> | undefined,
  userName: string,
  surroundings: Surroundings,
): Connection {
  const place = { ...cluster, where: `cluster "${clusterName}" of ${cluster.file}` };
  const who = user && { ...user, name: userName, where: `user "${userName}" of ${user.file}` };
  const server = serverOf(place);
  const proxies: Proxies = { ...proxiesOf(surroundings.env), url: proxyUrlOf(place) };
  checkTrust(place);
  if (who) checkCredentials(who);
  const impersonate = who && impersonationOf(who);
  const tls = trustOf(place, server, proxies, surroundings);
  // What is sent without TLS can be read on the way, so no credentials are.
  if (server.protocol === 'http:') return { server: bare(server), tls, impersonate, proxies };
  if (!who)
    throw kubeconfigError({
      what: `nobody is named who could ask the cluster "${clusterName}" of ${cluster.file}`,
      why: userName
        ? `the context's user "${userName}" is not there`
        : 'the context has no field user; a username and a password are not asked for',
      fix: words`correct the context (kubectl config set-context --user), or choose another one with ${option('context', 'NAME')}`,
    });
  const credentials = credentialsOf(who, place, tls, server, surroundings);
  return { server: bare(server), tls, credentials, impersonate, proxies };
}

/** Without the user that a URL may name. */
function bare(server: URL): string {
  const url = new URL(server);
  url.username = '';
  url.password = '';
  return url.href;
}
