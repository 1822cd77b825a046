import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { linesOf } from './lines.ts';

async function linesIn(...chunks: (string | Buffer)[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) lines.push(line);
  return lines;
}

test('a line ends at a line feed, and at nothing else that somebody may have written into it', async () => {
  expect(await linesIn('one\rtwo\u2028three\u2029four\u0085five\nsix\n')).toEqual([
    'one\rtwo\u2028three\u2029four\u0085five',
    'six',
  ]);
});

test('lines go on over chunks, and characters too', async () => {
  const euro = Buffer.from('€');
  expect(await linesIn('a', 'b\nc', '\n', '\n', Buffer.concat([euro.subarray(0, 1)]), euro.subarray(1), 'end')).toEqual(
    ['ab', 'c', '', '€end'],
  );
});

test('a stream that breaks ends with its error', async () => {
  const stream = Readable.from(
    (async function* () {
      yield Buffer.from('one\ntw');
      throw new Error('cut');
    })(),
  );
  const read = async () => {
    for await (const _ of linesOf(stream));
  };
  await expect(read()).rejects.toThrow('cut');
});
