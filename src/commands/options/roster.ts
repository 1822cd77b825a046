import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import * as z from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import { fileError } from '../../base/file-error.ts';
import type { Student } from '../../operations/class/queue.ts';
import { readYaml } from './spec-options.ts';

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelWords = 'at most 63 lower-case letters, digits and -, a letter or digit at both ends';

const line = z.strictObject({
  student: z.string().regex(label, `is not a name that goes into host names: ${labelWords}`),
  title: z.string().optional(),
  user: z.string().optional(),
  namespace: z.string().regex(label, `is no namespace name: ${labelWords}`).optional(),
  host: z.string().optional(),
});
const columns = Object.keys(line.shape);

/** How namespaces and host names follow from the students, where the roster names none. */
export interface Patterns {
  /** `linux-{student}` */
  namespace: string;
  /** `{student}.k.example.com`; absent where every line has to name a host. */
  host?: string;
}

/**
 * The students of a roster: CSV with a header (student, and as wanted title, user, namespace, host), or YAML, a list of the same.
 * A YAML list may hold plain names too.
 *
 * @throws UserError `bad-file` that names the line
 */
export function readRoster(file: string, patterns: Patterns): Student[] {
  const rows = /\.ya?ml$/i.test(file) ? yamlRows(file) : csvRows(file);
  if (rows.length === 0) throw bad(file, 'has no students', `give a line with "student", then a line for each of them`);
  const seen = new Map<string, string>();
  return rows.map(({ at, row }) => {
    const result = line.safeParse(row);
    if (!result.success)
      throw bad(file, `${at}: ${issueOf(result.error, row)}`, `correct it; the columns are ${columns.join(', ')}`);
    const { student: name, title, user } = result.data;
    const fill = (pattern: string) => pattern.replaceAll('{student}', name);
    const namespace = result.data.namespace ?? fill(patterns.namespace);
    const host = result.data.host ?? (patterns.host === undefined ? undefined : fill(patterns.host));
    if (host === undefined)
      throw bad(file, `${at}: student "${name}" has no host`, "add a column host, or -h '{student}.k.example.com'");
    if (!label.test(namespace)) throw bad(file, `${at}: "${namespace}" is no namespace name`, labelWords);
    for (const taken of [`student "${name}"`, `namespace "${namespace}"`, `host "${host}"`]) {
      const before = seen.get(taken);
      if (before !== undefined)
        throw bad(file, `${at}: ${taken} is that of ${before} too`, 'each student has one of his own');
      seen.set(taken, at);
    }
    return { name, title, user, namespace, host };
  });
}

interface Row {
  /** `line 3` */
  at: string;
  row: unknown;
}

function csvRows(file: string): Row[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError('read', `${file} (--file)`, error);
  }
  try {
    const records = parse(text, {
      bom: true,
      columns: (header: string[]) => header.map((name) => name.trim().toLowerCase()),
      delimiter: [',', ';', '\t'],
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as { record: Record<string, string>; info: { lines: number } }[];
    // An empty cell says nothing.
    return records.map(({ record, info }) => ({
      at: `line ${info.lines}`,
      row: Object.fromEntries(Object.entries(record).filter(([, value]) => value !== '')),
    }));
  } catch (error) {
    throw bad(file, `is not valid CSV: ${messageOf(error)}`, 'correct that line', error);
  }
}

function yamlRows(file: string): Row[] {
  const content = readYaml(file, '--file') as unknown;
  const list = Array.isArray(content) ? content : (content as { students?: unknown } | undefined)?.students;
  if (!Array.isArray(list))
    throw bad(file, 'has no list of students', 'write "students:" with a list of names below it');
  return list.map((row: unknown, index) => ({
    at: `student ${index + 1}`,
    row: typeof row === 'string' ? { student: row } : row,
  }));
}

function issueOf({ issues: [issue] }: z.ZodError, row: unknown): string {
  const at = issue!.path.join('.');
  const value = (row as Record<string, unknown> | null)?.[at];
  if (at === '') return issue!.message;
  return value === undefined ? `"${at}" is missing` : `${at} "${value}" ${issue!.message}`;
}

function bad(file: string, what: string, fix: string, cause?: unknown): UserError {
  return new UserError({ what: `${path.basename(file)} ${what}`, fix, anchor: 'bad-file', kind: 'usage', cause });
}
