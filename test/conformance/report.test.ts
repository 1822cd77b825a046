import { expect, test } from 'vitest';
import { markdown } from './report.ts';
import type { Results } from './results.ts';

const spec = (sig: string, name: string) => ({ name: `[sig-${sig}] ${name}`, sig, serial: false });
const specs = [spec('apps', 'one'), spec('apps', 'two'), spec('node', 'three'), spec('node', 'four')];

test('the report says what passed, what failed and why, and what was not run', () => {
  const hosted: Results = {
    version: '1.37.2',
    options: ['--profile', 'lite'],
    runs: [
      { started: '2026-01-02T03:04:05.678Z', ended: '2026-01-02T04:05:06.789Z', command: 'npm run conformance --' },
    ],
    specs: {
      '[sig-apps] one': { outcome: 'passed' },
      '[sig-apps] two': { outcome: 'failed', cause: 'a | b\n<nil>' },
      '[sig-node] three': { outcome: 'skipped', cause: 'needs three nodes' },
    },
  };
  const reference: Results = {
    version: '1.37.2',
    options: [],
    runs: [],
    specs: { '[sig-apps] two': { outcome: 'passed' } },
  };
  const text = markdown(specs, hosted, reference, { box: '2 processors', missingImages: ['a/b:1'] });
  expect(text).toContain('## Kubernetes 1.37.2, deployed with `--profile lite`');
  expect(text).toContain('| apps | 2 | 1 | 1 | 0 | 1 of 1 |');
  expect(text).toContain('| node | 2 | 0 | 0 | 2 | 0 of 0 |');
  expect(text).toContain('| **all** | 4 | 1 | 1 | 2 | 1 of 1 |');
  expect(text).toContain('| [sig-apps] two | a \\| b &lt;nil> | passed |');
  expect(text).toContain('[sig-node] three: the suite itself skips it (needs three nodes)');
  expect(text).toContain('  - [sig-node] four');
  expect(text).toContain('hosted: 2026-01-02 03:04 UTC to 04:05 UTC: `npm run conformance --`');
  expect(text).toContain('a/b:1');
});
