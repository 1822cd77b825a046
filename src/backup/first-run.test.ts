import { expect, test } from 'vitest';
import { errorIn } from './first-run.ts';

test("a job's error is told under that of the command, without the page that it points to", () => {
  const log = `WARNING something before
ERROR the bucket s3://backups cannot be used
  why: there is no bucket "backups" (404 NoSuchBucket)
  do:  make it
  see: docs/checks.md#backup-bucket`;
  expect(errorIn(log)).toBe(
    `the bucket s3://backups cannot be used
       why: there is no bucket "backups" (404 NoSuchBucket)
       do:  make it`,
  );
});

test('what is no error of ours is told as it is', () => {
  expect(errorIn('node: bad option')).toBe('node: bad option');
});
