import type { Command } from 'commander';
import { runNow } from '../../backup/first-run.ts';
import type { JobConfig } from '../../backup/job/config.ts';
import { urlOf } from '../../backup/location.ts';
import { type Destination, scheduleBackups, unscheduleBackups } from '../../backup/schedule.ts';
import { checkRecipients } from '../../backup/seal.ts';
import { UserError } from '../../base/errors.ts';
import { toolVersion } from '../../base/version.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Reporter } from '../../ui/reporter.ts';
import { addBucketOptions, type BucketOptions, locationOf } from '../options/backup-location.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  interruption,
  parseDuration,
  repeated,
  reporterOf,
  withInfra,
} from '../options/connection.ts';

interface ScheduleOptions extends ConnectionOptions, BucketOptions {
  every: string;
  keep: string;
  to: string;
  recipient?: string[];
  size?: string;
  storageClass?: string;
  s3CredentialsSecret?: string;
  image?: string;
  run: boolean;
  timeout: string;
  off?: boolean;
}

export function configureSchedule(schedule: Command): void {
  schedule
    .option('--every <TIME>', 'how often', '1h')
    .option('--keep <N>', 'how many of the newest backups are kept', '24')
    .option('--to <PLACE>', 'pvc (a volume of the namespace) or s3://BUCKET[/PREFIX]', 'pvc')
    .option('--recipient <AGE>', 'age public key for which backups are encrypted; may be repeated', repeated)
    .option('--size <SIZE>', 'size of the volume; default 10Gi')
    .option('--storage-class <NAME>', "StorageClass of the volume, instead of the infra cluster's default")
    .option(
      '--s3-credentials-secret <NAME>',
      'Secret of the namespace with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if needed, AWS_SESSION_TOKEN',
    );
  addBucketOptions(schedule)
    .option(
      '--image <IMAGE>',
      "image of k8sk8s (see its Dockerfile); default: Node's image, with the program in a ConfigMap",
    )
    .option('--no-run', 'make no backup right away')
    .option('--timeout <TIME>', 'how long the first backup may take', '5m')
    .option('--off', 'end the schedule; the backups stay');
  addOutputOptions(addConnectionOptions(schedule)).action(runSchedule);
}

async function runSchedule(options: ScheduleOptions): Promise<void> {
  const signal = interruption();
  const keep = Number(options.keep);
  const every = parseDuration(options.every, '--every');
  const timeout = parseDuration(options.timeout, '--timeout');
  if (!Number.isInteger(keep) || keep < 1) throw bad(`--keep "${options.keep}" is not a number from 1 on`);
  const reporter = reporterOf(options);
  if (options.off) return runOff(options, reporter);
  const to = destinationOf(options);
  if (!options.recipient)
    throw new UserError({
      what: 'nothing was given to encrypt the backups with',
      why: 'the key that opens backups must not be stored beside them, so only age public keys are accepted',
      fix: 'add --recipient age1… (age-keygen makes one)',
      anchor: 'backup-key',
      kind: 'usage',
    });
  checkRecipients(options.recipient);
  const { recipient: recipients, image } = options;
  await withInfra(options, async (cluster) => {
    const { times, asleep } = await scheduleBackups(cluster, { every, keep, recipients, to, image, reporter });
    const where = to.kind === 'bucket' ? `into ${urlOf(to.location)}` : 'onto the volume';
    reporter.line(`Backups are made at "${times}" (UTC) ${where}, the newest ${keep} stay.`);
    if (asleep) return reporter.warn('the plane sleeps: the schedule makes no backup before it wakes');
    if (options.run) await makeFirst(cluster, reporter, timeout, signal);
    reporter.line(`Bring one here: k8sk8s backup fetch -n ${cluster.namespace} FILE`);
  });
}

async function makeFirst(
  cluster: InfraCluster,
  reporter: Reporter,
  timeout: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    const log = await reporter.during(
      'Making the first backup',
      (phase) => runNow(cluster, { timeout, signal, phase }),
      'The first backup is made',
    );
    for (const line of log.split('\n')) reporter.line(`  ${line}`);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function runOff(options: ScheduleOptions, reporter: Reporter): Promise<void> {
  await withInfra(options, async (cluster) => {
    const ended = await unscheduleBackups(cluster);
    reporter.line(ended ? 'The schedule has ended; the backups are still where they are.' : 'There is no schedule.');
  });
}

/** @throws UserError `bad-values` for options that exclude each other */
function destinationOf(options: ScheduleOptions): Destination {
  const { to, size, storageClass, s3CredentialsSecret: secret } = options;
  const ofBucket = Object.entries({
    '--s3-credentials-secret': secret,
    '--s3-endpoint': options.s3Endpoint,
    '--s3-region': options.s3Region,
    '--s3-ca': options.s3Ca,
  });
  const ofVolume = Object.entries({ '--size': size, '--storage-class': storageClass });
  const useless = (to === 'pvc' ? ofBucket : ofVolume).filter(([, value]) => value !== undefined);
  if (useless.length > 0)
    throw bad(
      `${useless.map(([name]) => name).join(' and ')} ${useless.length > 1 ? 'have' : 'has'} no use with --to ${to}`,
      to === 'pvc' ? 'add --to s3://BUCKET, or leave it out' : 'leave it out',
    );
  if (to === 'pvc') return { kind: 'volume', size: size ?? '10Gi', storageClass };
  const location = locationOf(to, options, '--to');
  if (secret !== undefined) return { kind: 'bucket', location, secret };
  throw bad(
    `--to ${to} needs keys that open the bucket`,
    'put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into a Secret of the namespace, and name it with --s3-credentials-secret',
  );
}

function bad(what: string, fix?: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}

/** What the CronJob's pod runs where an image of k8sk8s was given. */
export async function runScheduledJob(): Promise<void> {
  const { readConfig, runJob } = await import('../../backup/job/run.ts');
  const config: JobConfig = readConfig();
  const store = config.bucket
    ? (await import('../../backup/job/bucket.ts')).bucketStore(config.bucket)
    : (await import('../../backup/job/volume.ts')).volumeStore();
  await runJob(config, store, toolVersion());
}
