import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import type { Authenticator } from '../config/api-server-files.ts';
import { field } from '../config/flags.ts';
import { authenticatorsOf } from '../config/identity.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { partOf } from '../plane/names.ts';
import { bindingKinds, bindingOf, checkGrant, type Grant, grantOf, keyOf, type RoleBinding } from './users.ts';

/*
 * People of an outside provider: how they log in, and what the groups that the provider says may do. Who is in a group is the
 * provider's to say, so nothing of a person is kept here.
 */

/** A group of a provider, by its name in RBAC, and what k8sk8s granted to it. */
export interface OutsideGroup {
  group: string;
  grants: Grant[];
}

/** Label of the bindings of one group; its value is the group's key, and the group stands in the binding. */
const groupLabel = 'k8sk8s.io/outside-group';

/**
 * One of the plane's issuers.
 *
 * @param url which; needed where there are several
 * @throws UserError `no-issuer`
 */
export function issuerOf(spec: ClusterSpec, url?: string): Authenticator {
  const all = authenticatorsOf(spec);
  const found = url === undefined ? all : all.filter(({ issuer }) => issuer.url === url);
  if (found.length === 1) return found[0]!;
  const known = all.map(({ issuer }) => issuer.url).join(', ');
  throw new UserError({
    what:
      all.length === 0
        ? 'the plane has no outside issuer, so nobody logs in by one'
        : found.length === 0
          ? `the plane has no issuer ${url}`
          : `the plane has ${all.length} issuers`,
    why: all.length > 0 ? `there are ${known}` : undefined,
    fix:
      all.length > 0
        ? 'name one of them'
        : words`give it one: ${command('deploy', undefined, field('oidcIssuer', 'URL'))}`,
    anchor: 'no-issuer',
    kind: 'usage',
  });
}

/** A group as RBAC sees it. @throws UserError `no-issuer` where that does not follow from its name alone */
export function groupInRbac({ issuer, claimMappings: { groups } }: Authenticator, name: string): string {
  if (groups?.claim !== undefined) return `${groups.prefix ?? ''}${name}`;
  throw new UserError({
    what: `the groups of ${issuer.url} cannot be told by their names`,
    why: groups ? `they come from an expression: ${groups.expression}` : 'the issuer says no groups here',
    fix: 'bind the group, as RBAC sees it, with kubectl create clusterrolebinding',
    anchor: 'no-issuer',
    kind: 'usage',
  });
}

/** @throws UserError `no-role` */
export async function grantGroup(cluster: HostedCluster, group: string, grant: Grant): Promise<void> {
  await checkGrant(cluster, grant);
  const labels = {
    'app.kubernetes.io/part-of': partOf,
    'app.kubernetes.io/managed-by': partOf,
    [groupLabel]: keyOf(group),
  };
  await cluster.apply(bindingOf({ kind: 'Group', name: group }, grant, labels));
}

/** Groups of `user create --oidc-group`, sorted by name. */
export async function listGroups(cluster: HostedCluster): Promise<OutsideGroup[]> {
  const groups = new Map<string, Grant[]>();
  for (const binding of await bindings(cluster, groupLabel))
    for (const { name } of binding.subjects ?? []) groups.set(name, [...(groups.get(name) ?? []), grantOf(binding)]);
  return [...groups].map(([group, grants]) => ({ group, grants })).sort((a, b) => a.group.localeCompare(b.group));
}

/** Takes back what `grantGroup` granted. @returns how many bindings that were */
export async function revokeGroup(cluster: HostedCluster, group: string): Promise<number> {
  const own = await bindings(cluster, `${groupLabel}=${keyOf(group)}`);
  await Promise.all(own.map((each) => cluster.delete(each, each.metadata.name, each.metadata.namespace)));
  return own.length;
}

async function bindings(cluster: HostedCluster, labelSelector: string): Promise<RoleBinding[]> {
  const lists = await Promise.all(bindingKinds.map((kind) => cluster.list<RoleBinding>(kind, { labelSelector })));
  return lists.flatMap(({ items }) => items);
}

/** A kubeconfig without a credential: kubectl asks kubelogin (https://github.com/int128/kubelogin), which opens a browser. */
export function loginKubeconfig(
  { issuer }: Authenticator,
  { host, server, authority }: { host: string; server: string; authority: string },
): string {
  const { audiences, certificateAuthority } = issuer as Authenticator['issuer'] & { audiences: string[] };
  return buildKubeconfig({
    server,
    certificateAuthority: authority,
    clusterName: host,
    userName: `${host}-oidc`,
    client: {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: 'kubectl',
        args: [
          'oidc-login',
          'get-token',
          `--oidc-issuer-url=${issuer.url}`,
          `--oidc-client-id=${audiences[0]}`,
          '--oidc-extra-scope=groups',
          '--oidc-extra-scope=email',
          ...(certificateAuthority === undefined
            ? []
            : [`--certificate-authority-data=${Buffer.from(certificateAuthority).toString('base64')}`]),
        ],
        interactiveMode: 'IfAvailable',
        installHint: 'kubectl oidc-login is the plugin kubelogin: kubectl krew install oidc-login',
      },
    },
  });
}
