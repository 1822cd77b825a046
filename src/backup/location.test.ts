import { expect, test } from 'vitest';
import type { UserError } from '../base/errors.ts';
import { bucketKeys, bucketLocation, urlOf } from './location.ts';

const of = (url: string, more: object = {}) => bucketLocation({ url, ...more }, '--to');

test('a bucket, with and without a prefix', () => {
  expect(of('s3://backups')).toEqual({ bucket: 'backups', prefix: '', region: 'us-east-1' });
  expect(of('s3://backups/')).toEqual(of('s3://backups'));
  expect(of('s3://backups/team/a')).toMatchObject({ bucket: 'backups', prefix: 'team/a/' });
  expect(of('s3://backups//team/')).toMatchObject({ prefix: 'team/' });
  for (const url of ['s3://backups', 's3://backups/team/a']) expect(urlOf(of(url))).toBe(url);
});

test('a server and a region of its own', () => {
  expect(of('s3://backups', { endpoint: 'https://s3.example.com:9000/', region: 'eu-1' })).toMatchObject({
    endpoint: 'https://s3.example.com:9000',
    region: 'eu-1',
  });
  for (const endpoint of ['s3.example.com', 'ftp://s3', 'https://s3.example.com/backups', 'https://me:secret@s3', ''])
    expect(() => of('s3://backups', { endpoint })).toThrow('is not the URL of a server');
});

test.each([
  ['s3', 'neither pvc nor s3://'],
  ['https://s3.example.com/backups', 'neither pvc nor s3://'],
  ['s3://', 'names no bucket'],
  ['s3:///team', 'names no bucket'],
  ['s3://Backups', 'names no bucket'],
  ['s3://backups/a b', 'characters'],
  ['s3://backups/../other', 'characters'],
])('%s is not a place', (url, words) => {
  expect(() => of(url)).toThrow(words);
});

test('keys are named by what is missing of them, and never told', () => {
  const keys: Record<string, string> = {
    AWS_ACCESS_KEY_ID: 'id\n',
    AWS_SECRET_ACCESS_KEY: 'word',
    AWS_SESSION_TOKEN: '',
  };
  expect(bucketKeys((name) => keys[name], 'the Secret')).toEqual({ accessKeyId: 'id', secretAccessKey: 'word' });
  const { AWS_ACCESS_KEY_ID: _, ...half } = keys;
  const missing = (from: Record<string, string>) => {
    try {
      return bucketKeys((name) => from[name], 'the Secret "s3"');
    } catch (error) {
      return `${(error as UserError).what} ${(error as UserError).fix}`;
    }
  };
  expect(missing(half)).toContain('the Secret "s3" has no AWS_ACCESS_KEY_ID');
  expect(missing({})).toContain('no AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY');
  expect(missing(half)).not.toContain('word');
});
