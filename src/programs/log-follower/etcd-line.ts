import { asTexts, entryOf, type Fields, ofTheLine, sentenceOf } from './fields.ts';
import { millisecondsOf } from './klog.ts';

/** What etcd says, one JSON object a line; undefined of any other line. Pure. */
export function etcdFields(line: string): Fields | undefined {
  const entry = entryOf(line, '{"level":');
  if (entry === undefined) return undefined;
  const { level, ts: _, caller, msg, ...more } = entry;
  const fields = asTexts(more);
  return {
    level: wordOf(String(level)),
    source: String(caller ?? ''),
    _msg: sentenceOf(msg, fields),
    ...ofTheLine(fields),
    ...(fields.took !== undefined && { durationMs: String(millisecondsOf(fields.took)) }),
  };
}

function wordOf(level: string): string {
  return ['panic', 'dpanic', 'fatal'].includes(level) ? 'fatal' : level;
}
