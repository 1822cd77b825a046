import type { Readable } from 'node:stream';

/** A stream as text. @param longest bytes; what goes on without end is told from an answer so. @throws Error for more of them */
export async function boundedText(stream: Readable, longest: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += (chunk as Buffer).length;
    if (length > longest) throw new Error(`the answer is longer than ${longest >> 20} MiB`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
