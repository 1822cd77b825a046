import type { Readable } from 'node:stream';

/**
 * The lines of a stream, which end at \n alone: readline also ends them at \r and, by the version of Node.js, at U+2028, and what others
 * write may have these in the middle of a line.
 *
 * @throws what the stream ends with, where that is an error
 */
export async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = chunk.split('\n');
    rest += lines.shift();
    if (lines.length === 0) continue;
    yield rest;
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}
