import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { didYouMean } from '../../base/did-you-mean.ts';
import { messageOf, UserError } from '../../base/errors.ts';
import { fileError } from '../../base/file-error.ts';
import { readYaml } from './spec-options.ts';

/** What a roster may say of a student. */
export const columns = ['student', 'title', 'user', 'namespace', 'host'] as const;

const columnsWords = `the columns are ${columns.join(', ')}; student alone has to be there`;

export interface Row {
  /** `line 3` */
  at: string;
  row: unknown;
}

/** The lines of a roster, CSV with a header or YAML, before anybody looks at what is in them. @throws UserError `bad-file` */
export function rosterRows(file: string): Row[] {
  const rows = /\.ya?ml$/i.test(file) ? yamlRows(file) : csvRows(file);
  if (rows.length > 0) return rows;
  throw badRoster(file, {
    what: 'has no students',
    fix: 'write "student" in the first line, then the name of one student in each line',
  });
}

export function badRoster(
  file: string,
  { what, ...more }: { what: string; why?: string; fix: string; cause?: unknown },
): UserError {
  return new UserError({ what: `${path.basename(file)} ${what}`, ...more, anchor: 'bad-file', kind: 'usage' });
}

function csvRows(file: string): Row[] {
  const text = csvText(file);
  const delimiter = delimiterOf(text);
  const [header, ...lines] = recordsOf(file, text, delimiter);
  if (!header) return [];
  const names = columnsOf(file, header.record);
  return lines.map(({ record, info }) => {
    const at = `line ${info.lines}`;
    // Cells behind the last column that hold nothing are the spreadsheet's.
    if (record.slice(names.length).some((cell) => cell !== ''))
      throw badRoster(file, {
        what: `${at}: there are ${record.length} cells, and the first line names ${names.length} columns (${names.join(', ')})`,
        why: `cells are separated by ${nameOf(delimiter)}`,
        fix: `put a cell that has ${nameOf(delimiter)} in it in quotes ("Müller, Anna"), or name all columns in the first line`,
      });
    // An empty cell says nothing.
    const cells = names.flatMap((name, index) => (record[index] ? [[name, record[index]]] : []));
    const other = record.length < names.length && ([';', ',', '\t'] as const).find((each) => record[0]?.includes(each));
    if (other)
      throw badRoster(file, {
        what: `${at}: the cells are separated by ${nameOf(other)}, those of the first line by ${nameOf(delimiter)}`,
        fix: 'separate all of them in one way',
      });
    return { at, row: Object.fromEntries(cells) };
  });
}

function csvText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw fileError('read', `${file} (--file)`, error);
  }
  const fix = 'in the spreadsheet, save it once more as "CSV UTF-8"';
  if (bytes.subarray(0, 2).toString('latin1') === 'PK')
    throw badRoster(file, { what: 'is the file of a spreadsheet program (xlsx, ods), and no CSV', fix });
  if (bytes.includes(0)) throw badRoster(file, { what: 'is no UTF-8 text, but UTF-16 or no text at all', fix });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const line =
      bytes
        .toString('utf8')
        .split('\n')
        .findIndex((each) => each.includes('\uFFFD')) + 1;
    throw badRoster(file, { what: `line ${line}: a letter of it is no UTF-8, so a name would be damaged`, fix, cause });
  }
}

/** A title may hold the separators of other spreadsheets, so the header decides: names of columns have none. */
function delimiterOf(text: string): ',' | ';' | '\t' {
  const [header = ''] = text.trimStart().split(/\r?\n|\r/, 1);
  return ([';', '\t'] as const).find((each) => header.includes(each)) ?? ',';
}

const nameOf = (delimiter: ',' | ';' | '\t') => (delimiter === '\t' ? 'a tab' : `"${delimiter}"`);

interface CsvRecord {
  record: string[];
  info: { lines: number };
}

function recordsOf(file: string, text: string, delimiter: string): CsvRecord[] {
  try {
    const options = { bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true } as const;
    const records = parse(text, { ...options, delimiter }) as unknown as CsvRecord[];
    // A line of separators alone is what a spreadsheet makes of an empty one.
    return records.filter(({ record }) => record.some((cell) => cell !== ''));
  } catch (error) {
    const quote = error instanceof CsvError && /QUOTE/.test(error.code);
    throw badRoster(file, {
      what: quote ? 'has a quote (") that does not end where its cell ends' : 'is not valid CSV',
      why: messageOf(error),
      fix: quote
        ? 'take that quote out, or put the cell in quotes and write "" for each quote in it'
        : 'correct that line',
      cause: error,
    });
  }
}

function columnsOf(file: string, record: string[]): string[] {
  const names = record.map((name) => name.toLowerCase());
  while (names.at(-1) === '') names.pop();
  if (!names.includes('student'))
    throw badRoster(file, {
      what: `has no column "student": its first line is "${record.join(', ')}"${didYouMean('student', names)}`,
      why: 'the first line names the columns',
      fix: `put a line above the students, such as student,title; ${columnsWords}`,
    });
  for (const [index, name] of names.entries())
    if (!(columns as readonly string[]).includes(name))
      throw badRoster(file, {
        what: `has a column "${name}", which is no column of a roster${didYouMean(name, [...columns])}`,
        fix: `take it out, or rename it; ${columnsWords}`,
      });
    else if (names.indexOf(name) < index)
      throw badRoster(file, { what: `has the column "${name}" twice`, fix: 'take one of the two out' });
  return names;
}

function yamlRows(file: string): Row[] {
  const content = readYaml(file, '--file') as unknown;
  const list = Array.isArray(content) ? content : (content as { students?: unknown } | undefined)?.students;
  if (!Array.isArray(list))
    throw badRoster(file, {
      what: 'has no list of students',
      fix: 'write "students:", and below it a line "- NAME" for each of them',
    });
  // Names of figures alone come as numbers.
  return list.map((row: unknown, index) => ({
    at: `student ${index + 1}`,
    row: typeof row === 'string' || typeof row === 'number' ? { student: `${row}` } : row,
  }));
}
