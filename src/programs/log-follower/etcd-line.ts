import { asTexts, type Fields, ofTheLine, sentenceOf } from './fields.ts';
import { millisecondsOf } from './klog.ts';

/** What etcd says, one JSON object a line; undefined of any other line. Pure. */
export function etcdFields(line: string): Fields | undefined {
  if (!line.startsWith('{"level":')) return undefined;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
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
