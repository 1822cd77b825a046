import { expect, test } from 'vitest';
import { render } from './encrypt.ts';

const settled = {
  resources: ['secrets'],
  stage: 'encrypted' as const,
  writes: 'key2-20260501',
  reads: ['key2-20260501'],
  inUse: true,
  unfinished: false,
};

test('a plane at rest is told in one line', () => {
  expect(render(settled)).toBe('Encrypted: secrets of the hosted cluster lie in etcd by key2-20260501 (secretbox).');
});

test('what does not run yet is told with the command that mends it', () => {
  expect(render({ ...settled, inUse: false })).toContain('run k8sk8s deploy again');
  const ending = render({ ...settled, inUse: false, unfinished: true });
  expect(ending).toContain('k8sk8s encrypt rotate goes on with it');
  expect(ending).not.toContain('deploy');
});

test('in the middle of a change both keys are told, and plain text is called by its name', () => {
  const reads = ['plain text', 'key1-20260501'];
  const text = render({ ...settled, stage: 'added', writes: 'plain text', reads, unfinished: true });
  expect(text).toContain('written by plain text, and read by plain text and key1-20260501');
  expect(render({ ...settled, stage: 'plain', writes: 'plain text', reads: ['plain text'] })).toMatch(/^Not encrypted/);
});
