import type { BackupHead } from '../archive.ts';
import type { BucketLocation } from '../location.ts';

/** The settings of the CronJob's program: job.json of its ConfigMap, which schedule.ts writes and run.ts reads. */
export interface JobConfig {
  toolVersion: string;
  namespace: string;
  addresses: BackupHead['addresses'];
  /** Addresses of the members; the first that answers gives the snapshot. */
  etcdHosts: string[];
  /** age public keys; the private keys are not in the namespace. */
  recipients: string[];
  /** The number of newest backups that are kept. */
  keep: number;
  /** Absent: backups go onto the volume. */
  bucket?: BucketLocation & {
    /** Name of the Secret with the keys that sign the requests. */
    secret: string;
  };
}
