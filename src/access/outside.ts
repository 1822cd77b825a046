import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import type { Authenticator } from '../config/api-server-files.ts';
import { field } from '../config/flags.ts';
import { authenticatorsOf } from '../config/identity.ts';
import { anyNamespace, infraUser } from '../config/infra-identity.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { partOf } from '../plane/names.ts';
import { bindingKinds, bindingOf, checkGrant, type Grant, grantOf, keyOf, type RoleBinding } from './users.ts';

/*
 * Who comes from outside: people of a provider, how they log in, and what the groups that the provider says may do; and service
 * accounts of the infra cluster. Who is in a group is the provider's to say, so nothing of a person is kept here.
 */

/** A group of a provider, or a service account of the infra cluster, by its name in RBAC. */
export interface OutsideSubject {
  kind: 'Group' | 'User';
  name: string;
}

/** Label of the bindings of one of them; its value is a key of its name, and the name stands in the binding. */
const outsideLabel = 'k8sk8s.io/outside-group';

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

/**
 * A service account of the infra cluster as RBAC sees it.
 *
 * @param account `NAMESPACE:NAME`
 * @throws UserError `no-issuer` where the plane does not trust its namespace
 */
export function serviceAccountInRbac({ trustInfra }: ClusterSpec, account: string): string {
  const [, namespace, name] = /^([a-z0-9][-a-z0-9]*):([a-z0-9][-.a-z0-9]*)$/.exec(account) ?? [];
  if (namespace === undefined || name === undefined)
    throw new UserError({
      what: words`"${account}" is no NAMESPACE:NAME of a ServiceAccount`,
      fix: 'write it as team-a:builder',
      anchor: 'bad-values',
      kind: 'usage',
    });
  if (!trustInfra.includes(anyNamespace) && !trustInfra.includes(namespace))
    throw new UserError({
      what: `the plane does not know service accounts of namespace "${namespace}" of the infra cluster`,
      why: trustInfra.length > 0 ? `it knows those of ${trustInfra.join(', ')}` : undefined,
      fix: words`let them in first: ${command('deploy', undefined, field('trustInfra', namespace))}`,
      anchor: 'no-issuer',
      kind: 'usage',
    });
  return infraUser(namespace, name);
}

/** @throws UserError `no-role` */
export async function grantOutside(cluster: HostedCluster, subject: OutsideSubject, grant: Grant): Promise<void> {
  await checkGrant(cluster, grant);
  const labels = {
    'app.kubernetes.io/part-of': partOf,
    'app.kubernetes.io/managed-by': partOf,
    [outsideLabel]: keyOf(subject.name),
  };
  await cluster.apply(bindingOf(subject, grant, labels));
}

/** Whom `grantOutside` granted something, sorted by name. */
export async function listOutside(cluster: HostedCluster): Promise<(OutsideSubject & { grants: Grant[] })[]> {
  // A group and a service account can have one name.
  const found = new Map<string, OutsideSubject & { grants: Grant[] }>();
  for (const binding of await bindings(cluster, outsideLabel))
    for (const { kind, name } of binding.subjects ?? []) {
      const grants = [...(found.get(`${kind} ${name}`)?.grants ?? []), grantOf(binding)];
      found.set(`${kind} ${name}`, { kind: kind as OutsideSubject['kind'], name, grants });
    }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name) || a.kind.localeCompare(b.kind));
}

/** Takes back what `grantOutside` granted. @returns how many bindings that were */
export async function revokeOutside(cluster: HostedCluster, { kind, name }: OutsideSubject): Promise<number> {
  const named = await bindings(cluster, `${outsideLabel}=${keyOf(name)}`);
  const own = named.filter(({ subjects = [] }) => subjects.some((each) => each.kind === kind && each.name === name));
  await Promise.all(own.map((each) => cluster.delete(each, each.metadata.name, each.metadata.namespace)));
  return own.length;
}

async function bindings(cluster: HostedCluster, labelSelector: string): Promise<RoleBinding[]> {
  const lists = await Promise.all(bindingKinds.map((kind) => cluster.list<RoleBinding>(kind, { labelSelector })));
  return lists.flatMap(({ items }) => items);
}

/** A kubeconfig without a credential: kubectl asks kubelogin (https://github.com/int128/kubelogin), which opens a browser. */
export function loginKubeconfig(
  { issuer, claimMappings }: Authenticator,
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
          // Some providers give groups for this scope alone, and some refuse a scope that they do not know.
          ...(claimMappings.groups === undefined ? [] : ['--oidc-extra-scope=groups']),
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

/**
 * A kubeconfig without a credential for whoever may ask for tokens of a service account of the infra cluster: kubectl asks for one, by
 * the infra cluster's kubeconfig.
 *
 * @param infra where kubectl finds the infra cluster: KUBECONFIG, and the context where it is not the current one
 */
export function infraKubeconfig(
  account: { namespace: string; name: string; audience: string },
  infra: { kubeconfig: string; context?: string },
  { host, server, authority }: { host: string; server: string; authority: string },
): string {
  return buildKubeconfig({
    server,
    certificateAuthority: authority,
    clusterName: host,
    userName: `${host}-infra-${account.name}`,
    client: {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: 'kubectl',
        args: [
          ...(infra.context === undefined ? [] : [`--context=${infra.context}`]),
          `--namespace=${account.namespace}`,
          'create',
          'token',
          account.name,
          `--audience=${account.audience}`,
          `--output=go-template=${execCredential}`,
        ],
        // Without it, kubectl would look for the infra cluster in this very file.
        env: [{ name: 'KUBECONFIG', value: infra.kubeconfig }],
        interactiveMode: 'IfAvailable',
      },
    },
  });
}

/** From the TokenRequest that kubectl prints. */
const execCredential =
  '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"{{.status.token}}","expirationTimestamp":"{{.status.expirationTimestamp}}"}}';
