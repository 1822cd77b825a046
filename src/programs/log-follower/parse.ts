import { auditFields } from './audit.ts';
import { etcdFields } from './etcd-line.ts';
import type { Fields } from './fields.ts';
import { jsonLogFields } from './json-log.ts';
import { klogFields } from './klog.ts';

/** Characters of one field. */
const longest = 100_000;
/** Bytes of a line: VictoriaLogs passes those of more than 256 KiB over and says nothing of it. */
const longestLine = 240_000;
/** Characters of one field, where the line would be longer all the same: no sender hides what it did by what it sends beside. */
const fewer = 1000;

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
    } = auditFields(line) ?? etcdFields(line) ?? klogFields(line) ?? jsonLogFields(line) ?? {};
    if (level !== undefined && type === 'log') this.#level = level;
    const fields = (most: number): Fields => ({
      _msg: short(_msg, most),
      level: level ?? this.#level,
      type,
      ...Object.fromEntries(Object.entries(more).map(([name, value]) => [name, short(value, most)])),
    });
    const whole = fields(longest);
    return Buffer.byteLength(JSON.stringify(whole)) > longestLine ? fields(fewer) : whole;
  }
}

function short(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
}
