import { UserError } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';

/** An etcd that deploy starts would begin empty. */
export function snapshotAsleep(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" sleeps, and what its ephemeral etcd held lies in a snapshot`,
    fix: words`wake it first with: ${command('wake', namespace)}, which gives it back; then deploy`,
    anchor: 'plane-asleep',
    kind: 'refused',
  });
}

/** Members are changed by members that run. */
export function membersAsleep(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" sleeps, and so do the etcd members that would have to agree on another number`,
    fix: words`wake it first with: ${command('wake', namespace)}; or leave ${field('etcdMembers')} as it was`,
    anchor: 'plane-asleep',
    kind: 'refused',
  });
}

/**
 * Without room beside a plane of one replica its only API server ends first: 13.9 s were measured (docs/reliability.md).
 *
 * @param why the server's or the scheduler's own words, with the figures
 */
export function noRoomForTrial(changed: string[], why: string, replicas: number): UserError {
  const gap =
    changed.includes('kube-apiserver') && replicas === 1
      ? ', and where there is no room for a second API server either, the API does not answer for about 15 s, until the new one has taken the place of the old one'
      : '';
  return new UserError({
    what: `there is no room for the pod in which the change of ${changed.join(', ')} is tried before the plane is touched`,
    why,
    fix: words`free room for it (kubectl describe quota; or a node), or ask for less with ${field('resources')}; with ${option('yes')} the change is made without a trial${gap}. The plane was not touched`,
    anchor: 'no-room-for-trial',
    kind: 'refused',
  });
}
