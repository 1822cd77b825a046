/**
 * A text that others wrote, as it may stand in a line on a terminal or in a log: whatever controls a terminal, breaks the line or turns
 * the direction of writing is shown as `\u001b`. JSON stays JSON, and means the same. Tabs stay. Pure.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
    character === '\t' ? character : escaped(character),
  );
}

/** The same of a text of several lines. Pure. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Characters beyond 16 bits are two of these, as in JSON. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, unit) => {
    return `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
  }).join('');
}

/**
 * From now on, strings that are written to the stream control no terminal, whoever they come from: tenants name workers and
 * write logs, and the operator reads them.
 *
 * @param stream one that nothing writes colours to
 */
export function keepPrintable(stream: Pick<NodeJS.WriteStream, 'write'>): void {
  const write = stream.write.bind(stream) as (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? printableLines(chunk) : chunk, ...rest);
}
