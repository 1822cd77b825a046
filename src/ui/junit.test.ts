import { expect, test } from 'vitest';
import { junit } from './junit.ts';

test('counts, and what no XML can have', () => {
  const report = junit('network', [
    { name: 'one', seconds: 0.25 },
    { name: 'two', seconds: 1, failure: 'from "a" to <b>\n& \u001b[31mback' },
    { name: 'three', seconds: 0, skipped: 'not supported' },
  ]);
  expect(report).toContain('tests="3" failures="1" skipped="1" time="1.3"');
  expect(report).toContain('<failure message="from &quot;a&quot; to &lt;b&gt;&#10;&amp; [31mback"/>');
});
