import { expect, test } from 'vitest';
import { skewProblems } from './upgrade-plan.ts';

const worker = (version: string) => ({ name: 'worker-1', version, ready: true });

test('a kubelet may be up to three minors older than the API server, and never newer', () => {
  for (const version of ['v1.37.2', 'v1.36.3', 'v1.34.0', ''])
    expect(skewProblems([worker(version)], '1.37.2')).toEqual([]);
  expect(skewProblems([worker('v1.33.9')], '1.37.2')[0]!.what).toContain('more than three minors older');
  expect(skewProblems([worker('v1.37.0')], '1.36.3')[0]!.what).toContain('newer than');
});
