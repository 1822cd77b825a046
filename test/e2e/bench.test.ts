import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { run } from './world.ts';

// The short form of `npm run bench`. It asserts no time: it compares two that were measured next to each other. Its real goal is judged by the full run, on a box that does nothing else (docs/performance.md).

const runs = 5;

// Runs with `npm run test:all` alone until its limit is measured anew: the floor has a controller-manager since it is measured to
// the moment when a pod can be made.
test.runIf(runsAllOf('e2e/bench'))(
  'a deploy takes at most 1.6 times what bare etcd and kube-apiserver processes take',
  { retry: 4 },
  async () => {
    const bench = [path.resolve('dist/bench.js'), '--sandbox', inject('sandbox'), '--runs', String(runs)];
    const options = ['--at-most', '1.6', '--', '--etcd-storage', 'ephemeral'];
    const { code, stdout, stderr } = await run(process.execPath, [...bench, ...options]);
    console.log(stdout);
    expect(code, stderr).toBe(0);
    expect(stdout.match(/^\d+ +(deploy|floor) .*\d\.\d\d s/gm)).toHaveLength(runs);
  },
);
