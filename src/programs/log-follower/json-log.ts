import { asTexts, entryOf, type Fields, ofTheLine, sentenceOf } from './fields.ts';
import { traceFields } from './klog.ts';

/**
 * What a component says with `--logging-format=json` (k8s.io/component-base/logs/json): `{"ts":1780000000000.1,"caller":"a/b.go:7","msg":"Failed","err":"…"}`.
 * It names no level: an entry of information has a verbosity `v`, and one of an error has none. Undefined of any other line. Pure.
 */
export function jsonLogFields(line: string): Fields | undefined {
  const entry = entryOf(line, '{"ts":');
  if (entry === undefined) return undefined;
  const { ts: _, caller, msg, v, ...more } = entry;
  const fields = asTexts(more);
  return {
    level: v === undefined ? 'error' : 'info',
    source: String(caller ?? ''),
    _msg: sentenceOf(msg, fields),
    ...ofTheLine(fields),
    ...traceFields(String(msg ?? '')),
  };
}
