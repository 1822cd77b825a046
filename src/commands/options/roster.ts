import * as z from 'zod';
import { didYouMean } from '../../base/did-you-mean.ts';
import { hostName } from '../../config/values/hosts.ts';
import type { Student } from '../../operations/class/queue.ts';
import { badRoster, columns, type Row, rosterRows } from './roster-file.ts';

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelWords = 'lower-case letters a to z, digits and -, at most 63, a letter or digit at both ends';

const line = z.strictObject({
  student: z.string(),
  title: z.string().optional(),
  user: z.string().optional(),
  namespace: z.string().optional(),
  host: z.string().optional(),
});

/** How namespaces and host names follow from the students, where the roster names none. */
export interface Patterns {
  /** `linux-{student}` */
  namespace: string;
  /** `{student}.k.example.com`; absent where nobody has said it yet, which class create alone has to know. */
  host?: string;
}

/** What is wrong with one line. */
interface Problem {
  what: string;
  fix: string;
}

/**
 * The students of a roster: CSV with a header (student, and as wanted title, user, namespace, host), or YAML, a list of the same.
 * A YAML list may hold plain names too.
 *
 * @throws UserError `bad-file` that names every line which cannot be used
 */
export function readRoster(file: string, patterns: Patterns): Student[] {
  const rows = rosterRows(file);
  const problems: (Problem & { at: string })[] = [];
  const seen = new Map<string, string>();
  const students: Student[] = [];
  for (const { at, row } of rows) {
    const read = studentOf(row, patterns);
    const problem = 'problem' in read ? read.problem : taken(read.student, at, seen);
    if (problem) problems.push({ at, ...problem });
    else if ('student' in read) students.push(read.student);
  }
  const [first, ...more] = problems;
  if (!first) return students;
  throw badRoster(file, {
    what: more.length === 0 ? `${first.at}: ${first.what}` : `has ${problems.length} lines that cannot be used`,
    ...(more.length > 0 && { why: told(problems) }),
    fix: [...new Set(problems.map(({ fix }) => fix))].slice(0, 3).join('; '),
  });
}

/** A roster of another program has the same in each of its lines. */
function told(problems: (Problem & { at: string })[]): string {
  const shown = problems.slice(0, 10).map(({ at, what }) => `${at}: ${what}`);
  return [...shown, ...(problems.length > 10 ? [`and ${problems.length - 10} more`] : [])].join('\n');
}

function studentOf(row: unknown, patterns: Patterns): { student: Student } | { problem: Problem } {
  const result = line.safeParse(row);
  if (!result.success) return { problem: problemOf(result.error, row as Row['row']) };
  const { student: name, title, user } = result.data;
  if (!label.test(name)) return { problem: badName(name) };
  const fill = (pattern: string) => pattern.replaceAll('{student}', name);
  const namespace = result.data.namespace ?? fill(patterns.namespace);
  const host = result.data.host ?? (patterns.host === undefined ? '' : fill(patterns.host));
  const problem = badNamespace(name, namespace) ?? (host === '' ? undefined : badHost(name, host));
  return problem ? { problem } : { student: { name, title, user, namespace, host } };
}

function badName(name: string): Problem {
  const proposal = proposed(name);
  const why = name.length > 63 ? `has ${name.length} characters` : 'cannot be part of a host name';
  return {
    what: `student "${name}" ${why}${proposal === '' ? '' : `; write for example ${proposal}`}`,
    fix: `give names of ${labelWords}; a column title takes a name as people write it`,
  };
}

const letters: Record<string, string> = {
  ä: 'ae',
  ö: 'oe',
  ü: 'ue',
  ß: 'ss',
  æ: 'ae',
  ø: 'o',
  å: 'aa',
  ł: 'l',
  đ: 'd',
};

/** A name that people write as one that goes into host names: `anna-mueller` for `Anna Müller`; empty for one without Latin letters. */
export function proposed(name: string): string {
  return name
    .normalize('NFC')
    .toLowerCase()
    .replace(/[äöüßæøåłđ]/g, (letter) => letters[letter]!)
    .normalize('NFD')
    .replace(/[\u0300-\u036f'’]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
}

function badNamespace(name: string, namespace: string): Problem | undefined {
  if (namespace.startsWith('kube-'))
    return {
      what: `namespace "${namespace}" of student "${name}" is Kubernetes' own`,
      fix: 'give another namespace',
    };
  if (label.test(namespace)) return undefined;
  return {
    what: `namespace "${namespace}" of student "${name}" ${namespace.length > 63 ? `has ${namespace.length} characters, and 63 are allowed` : 'cannot be the name of a namespace'}`,
    fix:
      namespace.length > 63
        ? "shorten the student's name, or the pattern of namespaces: -n '{student}'"
        : `give namespaces of ${labelWords}`,
  };
}

function badHost(name: string, host: string): Problem | undefined {
  const { error } = hostName.safeParse(host);
  if (!error) return undefined;
  return {
    what: `host "${host}" of student "${name}" ${error.issues[0]!.message}`,
    fix: 'give a host name such as anna.k.example.com, in the column host or by the pattern of -h',
  };
}

/** Whether an earlier line has the same name, namespace or host. */
function taken({ name, namespace, host }: Student, at: string, seen: Map<string, string>): Problem | undefined {
  for (const [what, fix] of [
    [
      `student "${name}"`,
      'give one of the two another name, such as anna-2, or take a line out that stands there twice',
    ],
    [
      `namespace "${namespace}"`,
      'every student needs a namespace of their own: -n with {student} in it, or another value in the column',
    ],
    [
      `host "${host}"`,
      "every student needs a host name of their own: -h '{student}.k.example.com', or another value in the column",
    ],
  ] as const) {
    if (what === 'host ""') continue;
    const before = seen.get(what);
    if (before !== undefined) return { what: `${what} is that of ${before} too`, fix };
    seen.set(what, at);
  }
  return undefined;
}

function problemOf({ issues: [issue] }: z.ZodError, row: unknown): Problem {
  const fix = `write a name, or a mapping of ${columns.join(', ')}, of which student has to be there`;
  if (typeof row !== 'object' || row === null) return { what: `${JSON.stringify(row)} is no student`, fix };
  const unknown = Object.keys(row).find((name) => !(columns as readonly string[]).includes(name));
  if (unknown !== undefined)
    return { what: `a student has no field "${unknown}"${didYouMean(unknown, [...columns])}`, fix };
  const at = issue!.path.join('.');
  const value = (row as Record<string, unknown>)[at];
  return value === undefined
    ? { what: `"${at}" is missing`, fix: `write it, or take the line out` }
    : { what: `${at} is ${JSON.stringify(value)}, which is not text`, fix: 'put it in quotes' };
}
