import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { option, words } from '../../base/words.ts';
import { Bucket } from '../bucket.ts';
import { type BucketLocation, bucketKeys } from '../location.ts';
import type { Store } from './run.ts';

/** A bucket, whose keys are in a mounted Secret. */
export function bucketStore(location: BucketLocation): Store {
  const fileOf = (name: string) => path.join('/bucket-keys', name);
  const read = (name: string) => (existsSync(fileOf(name)) ? readFileSync(fileOf(name), 'utf8') : undefined);
  const bucket = new Bucket(location, bucketKeys(read, words`the Secret of ${option('s3CredentialsSecret')}`));
  return {
    shared: true,
    list: async () => (await bucket.list()).map(({ name }) => name),
    put: (name, make) => make((content) => bucket.put(name, content)),
    remove: (name) => bucket.remove(name),
    sweep: async (start) => {
      const swept = await bucket.sweep(start);
      if (swept > 0) console.log(`${swept} unfinished uploads of earlier jobs deleted`);
    },
  };
}
