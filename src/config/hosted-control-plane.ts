import * as z from 'zod';
import { clusterSpec } from './schema.ts';
import { objectName } from './values/objects.ts';
import { cron, length, timeZone } from './values/times.ts';

/** What an object, and a cluster.yaml, says of itself. */
export const hostedControlPlane = { apiVersion: 'k8sk8s.io/v1alpha1', kind: 'HostedControlPlane' } as const;

/** A namespace has one plane, so its object has one name. */
export const hostedControlPlaneName = 'k8sk8s';

/** What becomes of a plane, beside what it is: fields that the operator alone reads. A command does each for the command line. */
export const lifeFields = z.strictObject({
  asleep: z.boolean().optional().meta({
    help: 'the plane has no pods and keeps its data; its workers go on running what they run. Left out: as sleepSchedule says',
  }),
  sleepSchedule: z
    .strictObject({ sleep: cron, wake: cron, timeZone: timeZone.default('Etc/UTC') })
    .optional()
    .meta({ help: 'when the plane falls asleep and when it wakes' }),
  sleepAfter: length.optional().meta({
    help: 'the plane falls asleep when nobody has used it for so long (30m, 4h, 2d), and wakes when it counts as used again; not with a sealed CA',
  }),
  backup: z
    .strictObject({
      schedule: z
        .enum(['5m', '10m', '15m', '20m', '30m', '1h', '2h', '3h', '4h', '6h', '8h', '12h', '1d'])
        .default('1h'),
      keep: z.int().min(1).max(500).default(24),
      destination: objectName('Secret'),
    })
    .optional()
    .meta({
      help: 'backups of the plane: how often, how many are kept, and the Secret of this namespace, with the label k8sk8s.io/backup-destination, that says where they go and who can open them',
    }),
  expiresAt: z.iso
    .datetime({ offset: true })
    .optional()
    .meta({ help: 'when the plane ends: it is deleted with its data, or sleeps where deletionPolicy is Retain' }),
  paused: z
    .boolean()
    .default(false)
    .meta({ help: 'the operator leaves the plane alone, whatever else but deletionPolicy is said here' }),
  deletionPolicy: z.enum(['Delete', 'Retain', 'Backup']).default('Delete').meta({
    help: 'what happens to the plane when this object is deleted: Delete takes it away with all of its data, Retain leaves it to the command line, Backup makes a last backup by the schedule of backups and deletes it then',
  }),
});

export type LifeFields = z.infer<typeof lifeFields>;

/** The fields of an object's spec that say what the plane is. */
export function withoutLife<T extends object>(spec: T): Omit<T, keyof LifeFields> {
  const life = Object.keys(lifeFields.shape);
  return Object.fromEntries(Object.entries(spec).filter(([name]) => !life.includes(name))) as Omit<T, keyof LifeFields>;
}

/** The `spec` of the object. */
export const hostedControlPlaneSpec = z.strictObject({ ...clusterSpec.shape, ...lifeFields.shape });
