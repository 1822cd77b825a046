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

/** Bytes of a name: a line with a longer one is passed over too, and so is one with more fields than VictoriaLogs takes (1000). */
const longestName = 128;
const mostFields = 200;
/** Fields of a line that is too long with `fewer` characters each; those of what was done come first. */
const fewestFields = 30;

/** Makes fields of the lines of one container. Some entries have several lines, so it remembers the level of the last one. */
export class LineParser {
  #level = 'info';

  /** Pure but for the level, which a line without its own has from the line before. */
  parse(line: string): Fields {
    const { _msg = line, level, type = 'log', ...more } = fieldsOf(line);
    if (level !== undefined && type === 'log') this.#level = level;
    const fields = (most: number, count: number): Fields => ({
      _msg: short(_msg, most),
      level: short(level ?? this.#level, fewer),
      type,
      ...fitting(more, most, count),
    });
    for (const [most, count] of [
      [longest, mostFields],
      [fewer, mostFields],
    ] as const) {
      const found = fields(most, count);
      if (Buffer.byteLength(JSON.stringify(found)) <= longestLine) return found;
    }
    return fields(fewer, fewestFields);
  }
}

function fieldsOf(line: string): Fields {
  try {
    return auditFields(line) ?? etcdFields(line) ?? klogFields(line) ?? jsonLogFields(line) ?? {};
  } catch {
    // It begins as one of these, and is none: a webhook's error may have line feeds in it, and anything behind them.
    return {};
  }
}

/** Fields as the store takes them: those beyond `count`, and those with a name that is too long, stand together in `more`. */
function fitting(fields: Fields, most: number, count: number): Fields {
  const found: Fields = {};
  const rest: string[] = [];
  for (const [at, [name, value]] of Object.entries(fields).entries())
    if (at < count && Buffer.byteLength(name) <= longestName) found[name] = short(value, most);
    else rest.push(`${name}=${value}`);
  return rest.length === 0 ? found : { ...found, more: short(rest.join(' '), most) };
}

function short(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
}
