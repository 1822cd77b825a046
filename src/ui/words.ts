import type { Finding } from '../base/errors.ts';
import { type CommandPart, type FieldPart, hasParts, type OptionPart, spoken, type Words } from '../base/words.ts';

/** A sentence as somebody at the command line reads it: `k8sk8s wake -n team`, `--etcd-members 3`. */
export function inTerminal(sentence: Words): string {
  return spoken(sentence, (part) => {
    if ('again' in part) return 'run the same command again';
    return 'command' in part ? commandLine(part) : flagged(part);
  });
}

/** What happened, why, and what to do, a line each. */
export function explained({ what, why, fix }: Pick<Finding, 'what' | 'why' | 'fix'>): string {
  const reason =
    why &&
    inTerminal(why)
      .trimEnd()
      .replace(/\n(?=\S)/g, '\n  ');
  return [inTerminal(what), reason && `  why: ${reason}`, fix && `  do:  ${inTerminal(fix)}`]
    .filter(Boolean)
    .join('\n');
}

function commandLine({ command, namespace, args }: CommandPart): string {
  return [
    `k8sk8s ${command}`,
    ...args.filter((each) => typeof each === 'string'),
    ...(namespace === undefined ? [] : [`-n ${namespace}`]),
    ...args.filter((each) => typeof each !== 'string').map(flagged),
  ].join(' ');
}

/** `--etcd-members 3`, `--reset etcd-members` */
export function flagged(part: OptionPart | FieldPart): string {
  if ('option' in part && part.option === 'namespace') return '-n';
  const flag =
    'field' in part ? part.flag : `--${part.option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  // The value of --reset is an option by its name, without dashes.
  const value = typeof part.value === 'object' ? part.value.flag.replace(/^--/, '') : part.value;
  return value === undefined ? flag : `${flag} ${value}`;
}

/** Data with each sentence in it as text, for JSON on standard output. */
export function told(data: unknown): unknown {
  if (hasParts(data)) return inTerminal(data);
  if (Array.isArray(data)) return data.map(told);
  if (data === null || typeof data !== 'object' || data instanceof Date) return data;
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, told(value)]));
}
