import { auditFields } from './audit.ts';
import { etcdFields } from './etcd-line.ts';
import type { Fields } from './fields.ts';
import { klogFields } from './klog.ts';

/** Bytes of one field: VictoriaLogs passes lines of more than 256 KiB over. */
const longest = 100_000;

/** Makes fields of the lines of one container. Some entries have several lines, so it remembers the level of the last one. */
export class LineParser {
  #level = 'info';

  /** Pure but for the level, which a line without its own has from the line before. */
  parse(line: string): Fields {
    const {
      _msg = line,
      level,
      type = 'log',
      ...more
    } = auditFields(line) ?? etcdFields(line) ?? klogFields(line) ?? {};
    if (level !== undefined && type === 'log') this.#level = level;
    const own = Object.entries(more).map(([name, value]) => [name, short(value)]);
    return { _msg: short(_msg), level: level ?? this.#level, type, ...Object.fromEntries(own) };
  }
}

function short(text: string): string {
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text;
}
