import { expect, test } from 'vitest';
import { createBoundedLog } from './bounded-log.ts';

test('the same words are written once a minute, and as they cannot harm a terminal', () => {
  let now = 0;
  const lines: string[] = [];
  const log = createBoundedLog(
    (line) => lines.push(line),
    () => now,
  );
  for (let time = 0; time < 10; time++) log('a\x1b[2Jb');
  now = 60_000;
  log('a\x1b[2Jb');
  expect(lines).toEqual(['a\\u001b[2Jb', 'a\\u001b[2Jb']);
});

test('whoever causes ever new words does not fill the log', () => {
  let now = 0;
  const lines: string[] = [];
  const log = createBoundedLog(
    (line) => lines.push(line),
    () => now,
  );
  for (let name = 0; name < 10_000; name++) log(`host-${name}`);
  expect(lines).toHaveLength(120);
  now = 60_000;
  log('next');
  expect(lines.slice(-2)).toEqual(['9880 more lines in that minute were left out', 'next']);
});
