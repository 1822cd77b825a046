import { scheduleName } from '../backup/cronjob.ts';
import { bucketLocation } from '../backup/location.ts';
import { type Destination, scheduleBackups, unscheduleBackups } from '../backup/schedule.ts';
import { checkRecipients } from '../backup/seal.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, Secret } from '../kube/objects.ts';
import { followedBy } from '../live/followed.ts';
import type { Reporter } from '../ui/reporter.ts';
import { parseLength } from './clock.ts';
import { destinationLabel } from './names.ts';
import { type HostedControlPlane, lifeOf } from './object.ts';

/**
 * Makes the schedule of backups what the object says. One that the command line made stays as it is where the object says nothing.
 *
 * @throws UserError `backup-destination`, and as scheduleBackups
 */
export async function settleBackups(
  object: HostedControlPlane,
  cluster: InfraCluster,
  { reporter }: { reporter: Reporter },
): Promise<void> {
  const { backup } = lifeOf(object);
  if (!backup) {
    const made = await cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, scheduleName);
    if (followedBy(made) === cluster.object && (await unscheduleBackups(cluster)))
      reporter.line('the schedule of backups has ended; the backups are still where they are');
    return;
  }
  const { recipients, to } = await destinationIn(cluster, backup.destination);
  await scheduleBackups(cluster, { every: parseLength(backup.schedule), keep: backup.keep, recipients, to, reporter });
}

/**
 * Where backups go, and who can open them: a Secret that an administrator has marked. An object names it, and nothing else of the
 * namespace, because the pod of a backup mounts it; and its owner does not choose who opens a backup, because the keys of the plane are in it.
 */
async function destinationIn(cluster: InfraCluster, name: string): Promise<{ recipients: string[]; to: Destination }> {
  const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, name);
  if (secret?.metadata.labels?.[destinationLabel] === undefined)
    throw refused(
      cluster,
      `there is no Secret "${name}" in namespace "${cluster.namespace}" with the label ${destinationLabel}`,
      'an administrator makes one: docs/operator.md says what is in it',
    );
  const text = (key: string) => {
    const value = secret.data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8').trim();
  };
  const recipients = text('recipients')?.split(/\s+/).filter(Boolean) ?? [];
  try {
    if (recipients.length === 0) throw new Error('its key "recipients" has no age public key');
    checkRecipients(recipients);
    const url = text('url');
    if (url === undefined)
      return { recipients, to: { kind: 'volume', size: text('size') ?? '10Gi', storageClass: text('storageClass') } };
    const options = { url, endpoint: text('endpoint'), region: text('region'), ca: text('ca.crt') };
    return { recipients, to: { kind: 'bucket', location: bucketLocation(options, 'url'), secret: name } };
  } catch (error) {
    throw refused(cluster, `the Secret "${name}" says no place for backups: ${messageOf(error)}`, 'correct it');
  }
}

function refused({ namespace }: InfraCluster, what: string, fix: string): UserError {
  return new UserError({
    what: words`no backups are made of the plane in namespace "${namespace}" as spec.backup says: ${what}`,
    fix,
    anchor: 'backup-destination',
    kind: 'refused',
  });
}
