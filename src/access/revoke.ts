import { UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { listOutside, type OutsideSubject, revokeOutside } from './outside.ts';
import { listUsers, noUser, type Remaining, revokeUser } from './users.ts';

/*
 * One name can stand for several in the hosted cluster: an issuer whose groups have no prefix can have a group "ops", and there
 * can be a certificate for a user "ops". Each has rights of its own, so each is revoked by itself.
 */

/** What a name of `user list` stands for: a user with a certificate, a group of a provider, a service account of the infra cluster. */
export const subjectKinds = ['certificate', 'group', 'service-account'] as const;

export type SubjectKind = (typeof subjectKinds)[number];

const inRbac: Record<Exclude<SubjectKind, 'certificate'>, OutsideSubject['kind']> = {
  group: 'Group',
  'service-account': 'User',
};

const described: Record<SubjectKind, string> = {
  certificate: 'a user with a certificate',
  group: 'a group of a provider',
  'service-account': 'a service account of the infra cluster',
};

/**
 * Takes back what k8sk8s granted to a name.
 *
 * @param kind which of those that have the name; needed where there are several
 * @returns which it was, and the access that a user with a certificate still has
 * @throws UserError `no-user`, `several-users`
 */
export async function revokeByName(
  cluster: HostedCluster,
  name: string,
  kind?: SubjectKind,
): Promise<{ kind: SubjectKind; remaining?: Remaining }> {
  const [users, outside] = await Promise.all([listUsers(cluster), listOutside(cluster)]);
  const among = {
    certificate: users,
    group: ofKind(outside, 'group'),
    'service-account': ofKind(outside, 'service-account'),
  };
  const found = subjectKinds.filter(
    (each) => (kind ?? each) === each && among[each].some((subject) => subject.name === name),
  );
  if (found.length > 1)
    throw new UserError({
      what: `"${name}" is ${found.map((each) => described[each]).join(', and also ')}`,
      why: 'each has rights of its own',
      fix: words`say which one with ${option('kind', found[0])} or ${option('kind', found.at(-1))}`,
      anchor: 'several-users',
      kind: 'usage',
    });
  const [one] = found;
  if (one === undefined) {
    if (kind === undefined) throw noUser(name, 'no certificate and granted nothing', [...users, ...outside]);
    throw noUser(name, kind === 'certificate' ? 'no certificate' : `no grant to ${described[kind]}`, among[kind]);
  }
  if (one === 'certificate') return { kind: one, remaining: await revokeUser(cluster, name) };
  await revokeOutside(cluster, { kind: inRbac[one], name });
  return { kind: one };
}

function ofKind<T extends OutsideSubject>(outside: T[], kind: keyof typeof inRbac): T[] {
  return outside.filter((each) => each.kind === inRbac[kind]);
}
