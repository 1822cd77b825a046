/** What is searchable of one line, beside where and when it was written. */
export type Fields = Record<string, string>;

/** Fields that say what a line is and where it is from, and what the store would take for one of them. */
const taken = new Set([
  '',
  '_time',
  '_msg',
  '_stream',
  '_stream_id',
  'component',
  'container',
  'pod',
  'level',
  'type',
  'source',
  'more',
]);

/** Fields by which a program calls something of its own: those of a name that is taken get a `_` behind it. Pure. */
export function ofTheLine(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [taken.has(name) ? `${name}_` : name, value]),
  );
}

/** The JSON object that a line is, by how a program begins such lines; undefined of any other line, and of one that was cut. Pure. */
export function entryOf<T = Record<string, unknown>>(line: string, beginning: string): T | undefined {
  if (!line.startsWith(beginning)) return undefined;
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}

/** Values of a JSON object as texts: what is no text stays JSON. Pure. */
export function asTexts(values: Record<string, unknown>): Fields {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

/** The sentence of an entry with all that stands behind it: a question about its words finds those of the error too. Pure. */
export function sentenceOf(message: unknown, about: Fields): string {
  return [String(message ?? ''), ...Object.entries(about).map(([name, value]) => `${name}=${value}`)].join(' ');
}
