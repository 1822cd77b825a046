import { expect, test } from 'vitest';
import { keepPrintable, printable, printableLines } from './printable.ts';

test.each([
  ['a colour', 'x\x1b[31mred', '\\u001b'],
  ['a title of the window', '\x1b]0;title\x07', '\\u0007'],
  ['the 8-bit form of an escape', '\x9b31m', '\\u009b'],
  ['a line that is written over', 'failed\rfine', '\\u000d'],
  ['a line of its own', 'one\nWARNING two', '\\u000a'],
  ['letters that are deleted', 'rm\x08\x08ls\x7f', '\\u0008\\u0008ls\\u007f'],
  ['text that runs backwards', 'a\u202eb', '\\u202e'],
  ['a line end that no terminal knows', 'a\u2028b', '\\u2028'],
  ['half of a character', 'a\ud800b', '\\ud800'],
])('%s is shown and does nothing', (_, text, shown) => {
  expect(printable(text)).toContain(shown);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(printable(text)).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u202e]/);
});

test('what people write stays as it is', () => {
  const text = 'Zoë\tschrieb: 日本語, ☃ and 👍 \\x1b';
  expect(printable(text)).toBe(text);
});

test('lines stay lines', () => {
  expect(printableLines('a\x1bb\n\tc\r\n')).toBe('a\\u001bb\n\tc\\u000d\n');
});

test('JSON means the same afterwards', () => {
  const data = { name: 'a\x1b[2J\x9b\x7f\u202e\u{e0001}"\\' };
  const text = printableLines(JSON.stringify(data, null, 2));
  expect(text).not.toContain('\x9b');
  expect(JSON.parse(text)).toEqual(data);
});

test('nothing that is written to a stream gets by', () => {
  const written: unknown[] = [];
  const stream = { write: (chunk: unknown) => written.push(chunk) > 0 };
  keepPrintable(stream as never);
  stream.write('a\x1b[2J\n');
  expect(written).toEqual(['a\\u001b[2J\n']);
});
