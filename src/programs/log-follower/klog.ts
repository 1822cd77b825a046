import { type Fields, ofTheLine } from './fields.ts';

/** https://github.com/kubernetes/klog: `E1130 19:07:07.123456       1 controller.go:10] "Failed" err="…"` */
const head = /^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ([^\s\]]+:\d+)\] ?(.*)$/s;

const levels: Record<string, string> = { I: 'info', W: 'warn', E: 'error', F: 'fatal' };

/** What a line of klog says; undefined of any other line. Pure. */
export function klogFields(line: string): Fields | undefined {
  const match = head.exec(line);
  if (!match) return undefined;
  const [, letter, source, text] = match as unknown as [string, string, string, string];
  const quoted = /^"(?:[^"\\]|\\.)*"/.exec(text)?.[0];
  const about = quoted === undefined ? {} : ofTheLine(pairsIn(text.slice(quoted.length)));
  return {
    level: levels[letter]!,
    source,
    _msg: quoted === undefined ? text : messageOf(quoted, text.slice(quoted.length)),
    ...about,
    ...traceFields(text),
  };
}

/** The error belongs into what a person reads first. */
function messageOf(quoted: string, rest: string): string {
  return `${unquoted(quoted)}${rest.trimEnd()}`;
}

/** Characters in which pairs are looked for: the time for it grows with their square where brackets do not close. */
const searched = 20_000;

/** `key="value" n=3 pod="a/b"`; a value of several lines, `key=<`, goes on in the next lines. */
function pairsIn(text: string): Fields {
  const pairs: Fields = {};
  for (const [, name, value] of text
    .slice(0, searched)
    .matchAll(/\s([\w./-]+)=("(?:[^"\\]|\\.)*"|\{.*?\}(?=\s|$)|\[.*?\](?=\s|$)|[^\s]*)/gs))
    pairs[name!] = unquoted(value!);
  return pairs;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    // Go knows more escapes than JSON does.
    return text.slice(1, -1);
  }
}

/** k8s.io/utils/trace: `Trace[1]: "Update" accept:…,audit-id:…,verb:PUT (30-Nov-2026 …) (total time: 612ms):` */
export function traceFields(text: string): Fields {
  const match = /^"?Trace\[\d+\]: \\?"([^"\\]*)\\?" (.*?) ?\([^()]*\) \(total time: ([^()]*)\)/s.exec(text);
  if (!match) return {};
  const [, trace, list, total] = match as unknown as [string, string, string, string];
  const of = (name: string) => new RegExp(`(?:^|,)${name}:([^,]*)`).exec(list)?.[1];
  const found = {
    auditID: of('audit-id'),
    verb: of('verb'),
    resource: of('resource'),
    namespace: of('namespace'),
    name: of('name'),
    userAgent: of('user-agent'),
  };
  const known = Object.entries(found).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return { trace, durationMs: String(millisecondsOf(total)), ...Object.fromEntries(known) };
}

/** `1m2.5s` or `612ms`, as Go writes it. */
export function millisecondsOf(duration: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, µs: 0.001, us: 0.001, ns: 1e-6 };
  // Go writes no longer one, and digits without a unit would be looked at again and again.
  const parts = [...duration.slice(0, 40).matchAll(/([\d.]+)(h|ms|m|s|µs|us|ns)/g)];
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit!]!, 0);
}
