import { expect, test } from 'vitest';
import { progressReader, progressText, type Told } from './progress.ts';

const names = ['[sig-apps] Thing works [Conformance]', '[sig-apps] Thing fails [Slow] [Conformance]'];

function read(output: string): Told[] {
  const reader = progressReader(names);
  return output.split('\n').flatMap((line) => reader(line) ?? []);
}

const both: Told[] = [
  { outcome: 'passed', name: names[0]! },
  { outcome: 'failed', name: names[1]! },
];

test('of several processes, the name comes after the outcome', () => {
  const output = `
[SynchronizedBeforeSuite] PASSED [0.010 seconds]
------------------------------
• [9.635 seconds]
[sig-apps] Thing works [Conformance] [sig-apps, Conformance]
k8s.io/kubernetes@v1.37.2/test/e2e/apps/thing.go:57
  STEP: doing [It] something
------------------------------
• [FAILED] [75.729 seconds]
[sig-apps] Thing [It] fails [Slow] [Conformance] [sig-apps, Conformance]
  [FAILED] Told to stop trying after 21.177s.
• [1.000 seconds]
[sig-node] Another that was not chosen [sig-node]`;
  expect(read(output)).toEqual(both);
});

test('of one process, the name comes before what the spec says', () => {
  const output = `
[sig-apps] Thing works [Conformance] [sig-apps, Conformance]
k8s.io/kubernetes@v1.37.2/test/e2e/apps/thing.go:57
  STEP: doing something
• [9.635 seconds]
------------------------------
[sig-apps] Thing fails [Slow] [Conformance] [sig-apps, Conformance]
• [FAILED] [75.729 seconds]
[sig-apps] Thing [BeforeEach] fails [Slow] [Conformance] [sig-apps, Conformance]
------------------------------`;
  expect(read(output)).toEqual(both);
});

test('the time left is estimated once enough specs have ended', () => {
  expect(progressText(2, 0, 433, 60_000)).toBe('2 of 433');
  expect(progressText(100, 3, 400, 600_000)).toBe('100 of 400, 3 failed, about 30 min left');
  expect(progressText(10, 0, 1000, 600_000)).toBe('10 of 1000, about 16.5 h left');
});
