import { type Command, Option } from 'commander';
import {
  grantOutside,
  groupInRbac,
  issuerOf,
  listOutside,
  type OutsideSubject,
  serviceAccountInRbac,
} from '../access/outside.ts';
import { revokeByName, type SubjectKind, subjectKinds } from '../access/revoke.ts';
import { createUser, type Grant, listUsers, type Remaining, type User } from '../access/users.ts';
import { UserError } from '../base/errors.ts';
import { infraPrefix, reservedPrefixes } from '../config/identity.ts';
import { refuseForeignFile, writeFileAtomically } from '../kubeconfig/write.ts';
import { trusted } from '../pki/authority.ts';
import { table } from '../ui/table.ts';
import {
  addPlaneCommand,
  type ConnectionOptions,
  outputOption,
  parseDuration,
  repeated,
} from './options/connection.ts';
import { addGitopsOptions, credentialFile, type GitopsOptions } from './options/gitops.ts';
import { inPlane } from './options/in-plane.ts';
import { print } from './options/print.ts';

interface CreateOptions extends ConnectionOptions, GitopsOptions {
  group?: string[];
  oidcGroup?: string;
  oidcIssuer?: string;
  infraServiceAccount?: string;
  clusterRole?: string;
  role?: string;
  inNamespace?: string;
  ttl: string;
  file?: string;
  force?: boolean;
}

export function configure(command: Command): void {
  const child = (name: string, description: string) => addPlaneCommand(command, name, description);
  const creating = child('create', 'print a kubeconfig for a person or program, with a short-lived certificate');
  addGitopsOptions(creating)
    .argument('[NAME]', 'name of the user in the hosted cluster; none with --oidc-group or --infra-service-account')
    .option('--group <GROUP>', 'a group of the user; may be repeated', repeated)
    .option('--oidc-group <GROUP>', 'in place of a NAME: bind the role to this group of an outside issuer')
    .option('--oidc-issuer <URL>', 'which issuer, where the plane has several')
    .option(
      '--infra-service-account <NAMESPACE:NAME>',
      'in place of a NAME: bind the role to this ServiceAccount of the infra cluster, which --trust-infra of deploy lets in',
    )
    .option('--cluster-role <ROLE>', 'bind this ClusterRole, in all namespaces or the one of --in-namespace')
    .option('--role <ROLE>', 'bind this Role of --in-namespace')
    .option('--in-namespace <NAMESPACE>', "namespace of the hosted cluster (-n is the infra cluster's)")
    .option('--ttl <TIME>', 'how long the certificate is valid, 10m to 365d', '8h')
    .option('--file <FILE>', 'write the kubeconfig to a file with mode 0600 instead of printing it')
    .option('--force', "overwrite another cluster's file")
    .action(create);
  child('list', 'list users with certificates, groups of outside issuers and service accounts of the infra cluster')
    .addOption(outputOption())
    .action(list);
  child('revoke', 'revoke all grants of a user; the certificate itself is valid until it expires')
    .argument('<NAME>', 'name of the user, or of who comes from outside, as in user list')
    .addOption(new Option('--kind <KIND>', 'which one, where several have the name').choices(subjectKinds))
    .action(revoke);
}

const tenMinutes = 10 * 60_000;
const year = 365 * 86_400_000;

async function create(name: string | undefined, options: CreateOptions): Promise<void> {
  if (options.oidcGroup !== undefined || options.infraServiceAccount !== undefined) return createOutside(name, options);
  if (name === undefined) throw bad('nobody was named', 'give a NAME, --oidc-group or --infra-service-account');
  if (options.oidcIssuer !== undefined) throw bad('--oidc-issuer has no use without --oidc-group', 'leave it out');
  for (const each of [name, ...(options.group ?? [])]) checkName(each);
  const grant = grantOf(options);
  const ttl = parseDuration(options.ttl, '--ttl');
  if (ttl < tenMinutes || ttl > year)
    throw bad(`--ttl ${options.ttl} is ${ttl < tenMinutes ? 'too short' : 'too long'}`, 'give 10m to 365d');
  await inPlane(options, async ({ spec, addresses, bundle }, hosted) => {
    const authority = trusted(bundle.authorities.ca!);
    if (options.file && !options.force) refuseForeignFile(options.file, authority);
    const { until, ...client } = await createUser(hosted, {
      name,
      groups: options.group ?? [],
      grant,
      ttl,
      keyType: spec.keyType,
    });
    const kubeconfig = credentialFile(options, {
      server: addresses.publicServer,
      certificateAuthority: authority,
      clusterName: spec.host,
      userName: name,
      client,
      namespace: options.inNamespace,
    });
    if (options.file) await writeFileAtomically(options.file, kubeconfig);
    else process.stdout.write(kubeconfig);
    process.stderr.write(
      `user "${name}" ${wordsOf(grant)} until ${until.toISOString()}${options.file ? `: ${options.file}` : ''}\n`,
    );
  });
}

/** Who is in a group is the provider's to say, and the infra cluster signs its tokens: there is no certificate and no file. */
async function createOutside(name: string | undefined, options: CreateOptions): Promise<void> {
  const { oidcGroup, oidcIssuer, infraServiceAccount } = options;
  const grant = grantOf(options);
  const given = oidcGroup !== undefined ? '--oidc-group' : '--infra-service-account';
  if (oidcGroup !== undefined && infraServiceAccount !== undefined)
    throw bad('--oidc-group and --infra-service-account were both given', 'run the command once for each');
  if (name !== undefined || options.group || options.file)
    throw bad(
      `${given} goes without a NAME, --group and --file`,
      `who comes from outside has a credential already, and needs the file of kubeconfig ${oidcGroup !== undefined ? '--oidc' : '--infra-service-account'}`,
    );
  if (!grant) throw bad(`${given} needs a role`, 'add --cluster-role ROLE, or --role ROLE with --in-namespace');
  await inPlane(options, async ({ spec }, hosted) => {
    const subject: OutsideSubject =
      oidcGroup !== undefined
        ? { kind: 'Group', name: groupInRbac(issuerOf(spec, oidcIssuer), oidcGroup) }
        : { kind: 'User', name: serviceAccountInRbac(spec, infraServiceAccount!) };
    await grantOutside(hosted, subject, grant);
    process.stderr.write(`${describeSubject(subject)} ${wordsOf(grant)}\n`);
  });
}

function describeSubject({ kind, name }: OutsideSubject): string {
  return `${kind === 'Group' ? 'group' : 'user'} "${name}"`;
}

function wordsOf(grant: Grant | undefined): string {
  if (!grant) return 'is known, and may do what others grant to the name or its groups,';
  return `has the ${grant.kind} ${grant.role} ${grant.namespace ? `in namespace "${grant.namespace}"` : 'in all namespaces'}`;
}

function grantOf({ clusterRole, role, inNamespace }: CreateOptions): Grant | undefined {
  if (clusterRole !== undefined && role !== undefined)
    throw bad('--cluster-role and --role were both given', 'give one of them; run the command again for the other');
  if (role !== undefined && inNamespace === undefined)
    throw bad(`--role ${role} needs a namespace`, 'add --in-namespace NAMESPACE, or give a --cluster-role');
  const namespace = inNamespace === undefined ? {} : { namespace: inNamespace };
  if (clusterRole !== undefined) return { role: clusterRole, kind: 'ClusterRole', ...namespace };
  return role === undefined ? undefined : { role, kind: 'Role', ...namespace };
}

/** Names that Kubernetes and the plane keep for themselves could never be taken back, or would take over what is somebody else's. */
export function checkName(name: string): void {
  if (reservedPrefixes.some((prefix) => name.startsWith(prefix)))
    throw bad(
      `"${name}" is a name of the cluster itself, not one for people`,
      'give another one; rights come with --cluster-role or --role',
    );
  if (reservedPrefixes.some((prefix) => name.startsWith(`${infraPrefix}${prefix}`)))
    throw bad(
      `"${name}" is a name of the infra cluster's service accounts, which --trust-infra of deploy lets in`,
      'give another one, or bind the role with --infra-service-account NAMESPACE:NAME',
    );
  if (name === '' || name.length > 64 || !/^[\x21-\x7e]+$/.test(name))
    throw bad(`"${name}" cannot be the name of a user or group`, 'give 1 to 64 ASCII characters without spaces');
}

function bad(what: string, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}

async function list(options: ConnectionOptions & { output: string }): Promise<void> {
  await inPlane(options, async (_, hosted) => {
    const [users, outside] = await Promise.all([listUsers(hosted), listOutside(hosted)]);
    print(options, [...users, ...outside], () => [render(users, new Date()), ...renderOutside(outside)].join('\n'));
  });
}

/** Pure. */
export function render(users: User[], now: Date): string {
  if (users.length === 0) return 'No users.';
  return table(
    ['NAME', 'GROUPS', 'RIGHTS', 'CERTIFICATE UNTIL'],
    users.map(({ name, groups, grants, until, revoked }) => [
      name,
      groups.join(', ') || '-',
      revoked ? 'revoked' : grantsText(grants),
      until <= now ? 'ended' : until.toISOString(),
    ]),
  );
}

function renderOutside(outside: (OutsideSubject & { grants: Grant[] })[]): string[] {
  if (outside.length === 0) return [];
  return [
    '',
    table(
      ['FROM OUTSIDE', 'KIND', 'RIGHTS'],
      outside.map(({ kind, name, grants }) => [name, kind, grantsText(grants)]),
    ),
  ];
}

function grantsText(grants: Grant[]): string {
  return grants.map(({ role, namespace }) => (namespace ? `${role} in ${namespace}` : role)).join(', ') || '-';
}

async function revoke(name: string, options: ConnectionOptions & { kind?: SubjectKind }): Promise<void> {
  await inPlane(options, async (_, hosted) => {
    const { kind, remaining } = await revokeByName(hosted, name, options.kind);
    const text =
      kind === 'certificate'
        ? describeRemaining(name, remaining)
        : `${kind === 'group' ? 'group' : 'service account'} "${name}": what k8sk8s granted to it is taken back, from now on`;
    process.stderr.write(`${text}\n`);
  });
}

/** What revoking did, and what it could not do. Pure. */
export function describeRemaining(name: string, remaining: Remaining | undefined): string {
  if (!remaining) return `user "${name}" revoked; no certificate of it lives any more`;
  const until = remaining.until.toISOString();
  return [
    `user "${name}" revoked: what k8sk8s granted is taken back, from now on.`,
    `A certificate cannot be called back: until ${until} its holder is still known as "${name}", and may do what everybody who is known may do${remaining.bindings.length > 0 ? ', and through bindings that k8sk8s did not make:' : '.'}`,
    ...remaining.bindings.map((binding) => `  ${binding}`),
  ].join('\n');
}
