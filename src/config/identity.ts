import { type Words, words } from '../base/words.ts';
import type { Authenticator, Mapping } from './api-server-files.ts';
import { publicPort } from './exposure.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';
import { issuerProblem } from './values/urls.ts';

/*
 * Who gets in by an outside source (docs/identity.md). People give issuers in two ways, by options and as an
 * AuthenticationConfiguration; here they become one list, in the form that the API server reads.
 */

type IdentitySpec = Pick<
  ClusterSpec,
  | 'authenticationConfig'
  | 'oidcIssuer'
  | 'oidcClientId'
  | 'oidcUsernameClaim'
  | 'oidcUsernamePrefix'
  | 'oidcGroupsClaim'
  | 'oidcGroupsPrefix'
  | 'oidcRequiredClaims'
  | 'oidcCa'
  | 'allowSystemNames'
>;

/** What names of Kubernetes' own users and groups begin with, and those of the plane's, some of which are administrators. */
export const reservedPrefixes = ['system:', 'k8sk8s:'] as const;

/** Prefix of the names and groups of the infra cluster's service accounts; after it, each has its name there, `system:…`. */
export const infraPrefix = 'infra:';

/** Prefix of the names and groups of the issuer that is given by options. */
const shortPrefix = 'oidc:';

/** All issuers, the one of the options first, each with a prefix, the way by the gate, and the rules about names. Pure. */
export function authenticatorsOf(spec: IdentitySpec): Authenticator[] {
  const names = spec.allowSystemNames;
  const all = given(spec).map((each) => completed(each, names));
  return all.map((each) => keptApart(each, all));
}

function given(spec: IdentitySpec): Authenticator[] {
  const byOptions = spec.oidcIssuer === undefined ? [] : [ofOptions(spec, spec.oidcIssuer)];
  return [...byOptions, ...(spec.authenticationConfig?.jwt ?? [])];
}

function ofOptions(spec: IdentitySpec, url: string): Authenticator {
  const required = Object.entries(spec.oidcRequiredClaims);
  return {
    issuer: {
      url,
      audiences: [spec.oidcClientId],
      ...(spec.oidcCa !== undefined && { certificateAuthority: spec.oidcCa }),
    },
    ...(required.length > 0 && {
      claimValidationRules: required.map(([name, requiredValue]) => ({ claim: name, requiredValue })),
    }),
    claimMappings: {
      username: { claim: spec.oidcUsernameClaim, prefix: prefixOf(spec.oidcUsernamePrefix) },
      groups: { claim: spec.oidcGroupsClaim, prefix: prefixOf(spec.oidcGroupsPrefix) },
    },
  };
}

/** `-` stands for none, as with the API server's own option. */
function prefixOf(asked: string | undefined): string {
  return asked === '-' ? '' : (asked ?? shortPrefix);
}

function completed({ issuer, claimMappings, userValidationRules = [], ...rest }: Authenticator, names: string[]) {
  const { username, groups, ...others } = claimMappings;
  const own = reservedRules(names).filter(
    ({ expression }) => !userValidationRules.some((each) => each.expression === expression),
  );
  return {
    // Without it the API server would dial past the gate.
    issuer: { ...issuer, egressSelectorType: 'controlplane' },
    ...rest,
    claimMappings: {
      username: prefixed(username, issuer.url),
      ...(groups && { groups: prefixed(groups, issuer.url) }),
      ...others,
    },
    userValidationRules: [...userValidationRules, ...own],
  };
}

/** The API server's own habit: nobody's name is another issuer's. */
function prefixed(mapping: Mapping, url: string): Mapping {
  return mapping.claim !== undefined && mapping.prefix === undefined ? { ...mapping, prefix: `${url}#` } : mapping;
}

/** Otherwise a provider's group system:masters would own the cluster, and so would k8sk8s:cluster-admins (hosted/addons/access.yaml). */
function reservedRules(names: string[]) {
  return reservedPrefixes.flatMap((prefix) =>
    rulesAgainst(
      prefix,
      (what) => `${what} begins with ${prefix}, which is kept for the cluster itself`,
      names.filter((name) => name.startsWith(prefix)),
    ),
  );
}

/** Rules in CEL by which nobody has a user name or a group with this prefix. Pure. @param but those that may be had all the same */
export function rulesAgainst(prefix: string, message: (what: string) => string, but: string[] = []) {
  return mappings.map((mapping) => ruleAgainst(mapping, prefix, message, but));
}

const mappings = ['username', 'groups'] as const;

function ruleAgainst(
  mapping: (typeof mappings)[number],
  prefix: string,
  message: (what: string) => string,
  but: string[] = [],
) {
  const list = `[${but.map((name) => JSON.stringify(name)).join(', ')}]`;
  const isOpen = (name: string) =>
    `!${name}.startsWith(${JSON.stringify(prefix)})${but.length > 0 ? ` || ${name} in ${list}` : ''}`;
  return mapping === 'username'
    ? { expression: isOpen('user.username'), message: message('the user name') }
    : { expression: `user.groups.all(group, ${isOpen('group')})`, message: message('a group') };
}

/** An issuer whose own prefix is shorter than that of another one, empty, or made by an expression could name somebody of the other. */
function keptApart(authenticator: Authenticator, all: Authenticator[]): Authenticator {
  const { issuer, userValidationRules = [], claimMappings } = authenticator;
  const rules = mappings.flatMap((mapping) => {
    const own = claimMappings[mapping];
    if (own === undefined) return [];
    return all.flatMap((other) => {
      const prefix = other.claimMappings[mapping]?.prefix || undefined;
      const others = other.issuer.url !== issuer.url && prefix !== undefined && prefix !== own.prefix;
      if (!others || !prefix.startsWith(own.prefix ?? '')) return [];
      return [
        ruleAgainst(mapping, prefix, (what) => `${what} begins with ${prefix}, as names of ${other.issuer.url} do`),
      ];
    });
  });
  const more = rules.filter(({ expression }) => !userValidationRules.some((each) => each.expression === expression));
  return { ...authenticator, userValidationRules: [...userValidationRules, ...more] };
}

/** Where the API server reads an issuer's discovery document. Pure. */
export function discoveryOf({ issuer: { url, discoveryURL } }: Authenticator): string {
  return discoveryURL ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/** What is wrong with the issuers, a sentence each. Pure. */
export function identityProblems(spec: ClusterSpec): Words[] {
  return [...optionProblems(spec), ...fileProblems(spec), ...issuerProblems(spec)];
}

const companions = ['oidcUsernamePrefix', 'oidcGroupsPrefix', 'oidcCa'] as const;

function optionProblems(spec: ClusterSpec): Words[] {
  if (spec.oidcIssuer !== undefined)
    return spec.oidcClientId === undefined
      ? [
          words`${field('oidcIssuer')} needs ${field('oidcClientId')}: tokens that were made for somebody else must not count here`,
        ]
      : [];
  const unused = [
    ...(['oidcClientId', ...companions] as const).filter((name) => spec[name] !== undefined),
    ...(Object.keys(spec.oidcRequiredClaims).length > 0 ? (['oidcRequiredClaims'] as const) : []),
  ];
  return unused.map((name) => words`${field(name)} has no use without ${field('oidcIssuer')}`);
}

function fileProblems({ authenticationConfig: config }: ClusterSpec): Words[] {
  if (!config) return [];
  const file = field('authenticationConfig');
  const problems: Words[] = [];
  if ('anonymous' in config)
    problems.push(words`${file} says who is anonymous, which k8sk8s does itself: take "anonymous" out of it`);
  for (const { issuer } of config.jwt)
    if (issuer.egressSelectorType !== undefined && issuer.egressSelectorType !== 'controlplane')
      problems.push(
        words`${file} has egressSelectorType "${issuer.egressSelectorType}" for ${issuer.url}: the API server reaches it by the gate alone, as controlplane, which is written there when it is left out`,
      );
  return problems;
}

function issuerProblems(spec: ClusterSpec): Words[] {
  const all = authenticatorsOf(spec);
  const ofInfra = spec.trustInfra.length > 0 ? [infraPrefix] : [];
  const problems: Words[] = [];
  for (const { issuer } of all)
    for (const url of [issuer.url, issuer.discoveryURL]) {
      if (url === undefined) continue;
      const why = issuerProblem(url);
      if (why !== undefined) problems.push(words`${field('authenticationConfig')} has ${url}, which ${why}`);
      else if (url === issuer.url && isOwn(spec, url))
        problems.push(
          words`the issuer ${url} is the hosted cluster's own, whose tokens count anyway: name the issuer of the outside source`,
        );
    }
  for (const [what, list] of [
    ['issuer', all.map(({ issuer }) => issuer.url)],
    ['prefix of user names', [...prefixesOf(all, 'username'), ...ofInfra]],
    ['prefix of groups', [...prefixesOf(all, 'groups'), ...ofInfra]],
  ] as const)
    for (const twice of new Set(list.filter((each, at) => list.indexOf(each) !== at)))
      problems.push(
        what === 'issuer'
          ? words`the issuer ${twice} is given twice: leave it out of ${field('authenticationConfig')} or leave ${field('oidcIssuer')} out`
          : words`two issuers have the ${what} "${twice}": one of them could name somebody of the other. Give each a prefix of its own`,
      );
  return problems;
}

function prefixesOf(all: Authenticator[], mapping: 'username' | 'groups'): string[] {
  return all.flatMap(({ claimMappings }) => claimMappings[mapping]?.prefix ?? []);
}

/** As far as it can be told before the services have their ports. */
function isOwn(spec: ClusterSpec, url: string): boolean {
  const { hostname, port } = new URL(url);
  return hostname === spec.host && publicPort(spec) === Number(port || 443);
}
