import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type BucketLocation, bucketKeys, bucketLocation } from '../../backup/location.ts';
import { isScheduled, scheduledStart } from '../../backup/names.ts';
import { keysOfSecret, readSchedule } from '../../backup/schedule.ts';
import type { BackupStore } from '../../backup/store.ts';
import { withVolume } from '../../backup/volume-store.ts';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/file-error.ts';
import { requireRecord } from '../../live/record.ts';
import type { Patience } from '../../ui/work.ts';
import { type ConnectionOptions, withInfra } from './connection.ts';

/** How a bucket is reached that is not AWS's own, or not in its usual region. */
export interface BucketOptions {
  s3Endpoint?: string;
  s3Region?: string;
  s3Ca?: string;
}

export function addBucketOptions(command: Command): Command {
  return command
    .option('--s3-endpoint <URL>', "server of the bucket, where it is not AWS's")
    .option('--s3-region <REGION>', 'region of the bucket; default us-east-1')
    .option('--s3-ca <FILE>', "CA of the server's certificate (PEM), where no public CA signed it");
}

/** @param option that the URL was given by */
export function locationOf(url: string, options: BucketOptions, option: string): BucketLocation {
  const { s3Endpoint: endpoint, s3Region: region, s3Ca } = options;
  const location = bucketLocation({ url, endpoint, region }, option);
  return s3Ca === undefined ? location : { ...location, ca: authorityIn(s3Ca) };
}

function authorityIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError('read', `${file} (--s3-ca)`, error);
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new UserError({
    what: `${file} (--s3-ca) holds no certificate`,
    fix: 'give a file with the CA in PEM: -----BEGIN CERTIFICATE-----',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

/** Where backups are read from: what was named, else where the schedule of the namespace puts them. */
export interface SourceOptions extends ConnectionOptions, BucketOptions {
  from?: string;
}

export function addSourceOptions(command: Command): Command {
  return addBucketOptions(
    command.option(
      '--from <PLACE>',
      'pvc or s3://BUCKET[/PREFIX], with the keys of the AWS_… environment variables; default: where the schedule of the namespace puts them',
    ),
  );
}

/** Runs `work` with the backups that a schedule made. @throws UserError `no-backups`, `backup-volume`, `backup-bucket`, `bucket-keys` */
export async function withBackupStore<T>(
  options: SourceOptions,
  request: Patience,
  work: (store: BackupStore) => Promise<T>,
): Promise<T> {
  const { from } = options;
  if (from !== undefined && from !== 'pvc') {
    const location = locationOf(from, options, '--from');
    const keys = bucketKeys((name) => process.env[name], 'the environment');
    return withBucket(location, keys, work);
  }
  return withInfra(options, async (cluster) => {
    const bucket = from === undefined ? (await readSchedule(cluster))?.bucket : undefined;
    if (!bucket) return await withVolume(cluster, request, work);
    const [keys, record] = await Promise.all([keysOfSecret(cluster, bucket.secret), requireRecord(cluster)]);
    const start = scheduledStart(cluster.namespace, record.planeId, true);
    return await withBucket(bucket, keys, (store) =>
      work({
        where: store.where,
        list: async () => (await store.list()).filter(({ name }) => isScheduled(name, start)),
        content: (backup) => store.content(backup),
      }),
    );
  });
}

async function withBucket<T>(
  location: BucketLocation,
  keys: ReturnType<typeof bucketKeys>,
  work: (store: BackupStore) => Promise<T>,
): Promise<T> {
  const { Bucket } = await import('../../backup/bucket.ts');
  const bucket = new Bucket(location, keys);
  try {
    return await work(bucket);
  } finally {
    bucket.close();
  }
}
