import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
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
    expect(() => of('s3://backups', { endpoint })).toThrow(refused('bad-values', `"${endpoint}"`));
});

test.each([
  's3',
  'https://s3.example.com/backups',
  's3://',
  's3:///team',
  's3://Backups',
  's3://backups/a b',
  's3://backups/../other',
])('%s is not a place', (url) => {
  expect(() => of(url)).toThrow(refused('bad-values', `"${url}"`));
});

test('keys are named by what is missing of them, and never told', () => {
  const keys: Record<string, string> = {
    AWS_ACCESS_KEY_ID: 'id\n',
    AWS_SECRET_ACCESS_KEY: 'word',
    AWS_SESSION_TOKEN: '',
  };
  expect(bucketKeys((name) => keys[name], 'the Secret')).toEqual({ accessKeyId: 'id', secretAccessKey: 'word' });
  const { AWS_ACCESS_KEY_ID: _, ...half } = keys;
  const read = (from: Record<string, string>) => () => bucketKeys((name) => from[name], 'the Secret "s3"');
  expect(read(half)).toThrow(refused('bucket-keys', 'the Secret "s3"', 'AWS_ACCESS_KEY_ID'));
  expect(read({})).toThrow(refused('bucket-keys', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'));
  expect(read(half)).toThrow(refused('bucket-keys', /^(?!.*\bword\b)/s));
});
