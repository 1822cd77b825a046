/**
 * Sentences for people who do not all sit at the command line. A sentence is a string, or what `words` makes of a template; what one
 * caller would say in another way than the next (a command to run, an option, a field of the spec) is a part of its own in it.
 * The terminal says `k8sk8s wake -n team` and `--etcd-members` (ui/words.ts); a condition or a web page says it in its own way.
 */

/** The commands that sentences name. test/house/words.test.ts looks for each in the command line, and in a sentence. */
export type CommandName =
  | 'adopt'
  | 'backup create'
  | 'backup list'
  | 'backup schedule'
  | 'certs renew'
  | 'certs rotate-ca'
  | 'certs rotate-exposed'
  | 'certs rotate-service-account-key'
  | 'certs status'
  | 'class rights'
  | 'deploy'
  | 'destroy'
  | 'diff'
  | 'encrypt rotate'
  | 'etcd defrag'
  | 'etcd members'
  | 'etcd repair'
  | 'host drop'
  | 'list'
  | 'logs'
  | 'logs disable'
  | 'logs enable'
  | 'operator allow'
  | 'operator install'
  | 'operator status'
  | 'release'
  | 'restore'
  | 'sandbox down'
  | 'sandbox env'
  | 'sandbox join'
  | 'sandbox up'
  | 'sleep'
  | 'status'
  | 'token create'
  | 'upgrade'
  | 'user create'
  | 'user list'
  | 'wake'
  | 'worker-config'
  | 'workers scale';

/** What sentences name that is given to one run and is no field of the spec; the option of the command line in camel case. */
export type OptionName =
  | 'acceptRemovedApis'
  | 'acceptWorkerSkew'
  | 'authority'
  | 'context'
  | 'dir'
  | 'discovery'
  | 'dropNow'
  | 'every'
  | 'expiresAt'
  | 'export'
  | 'file'
  | 'force'
  | 'from'
  | 'identityFile'
  | 'image'
  | 'inNamespace'
  | 'kind'
  | 'kubeconfig'
  | 'leave'
  | 'name'
  | 'namespace'
  | 'off'
  | 'oldPlaneIsDown'
  | 'passphraseFile'
  | 'previous'
  | 'recipient'
  | 'replace'
  | 'reset'
  | 'rights'
  | 's3Ca'
  | 's3CredentialsSecret'
  | 's3Endpoint'
  | 's3Region'
  | 'schedule'
  | 'sealFile'
  | 'teacher'
  | 'timeZone'
  | 'timeout'
  | 'to'
  | 'ttl'
  | 'workers'
  | 'write'
  | 'yes';

/** An operation on a plane, or of the sandbox, by the name of its command. */
export interface CommandPart {
  command: CommandName;
  namespace?: string;
  /** What it is given: a file or a component by its own word, and options. */
  args: (string | OptionPart | FieldPart)[];
}

export interface OptionPart {
  option: OptionName;
  value?: string | FieldPart;
}

/** A field of a hosted cluster's spec, which config/flags.ts makes; it carries its flag, `--etcd-members`. */
export interface FieldPart {
  field: string;
  flag: string;
  value?: string;
}

/** The same operation as the one that failed, once more. */
export const again = { again: true } as const;

export type Part = string | CommandPart | OptionPart | FieldPart | typeof again;
export type Words = string | Part[];

/**
 * A sentence with parts in it: ``words`wake it first with ${command('wake', namespace)}` ``. Strings and numbers become text, other
 * sentences become part of this one.
 */
export function words(texts: TemplateStringsArray, ...values: (Part | number | Words)[]): Words {
  return sentence(
    texts.flatMap((text, index) => {
      const value = values[index] ?? '';
      return [text, ...(Array.isArray(value) ? value : [typeof value === 'number' ? `${value}` : value])];
    }),
  );
}

/** Neighbouring texts become one. Without parts it is a string, so a list always has one, and is told from every other list. */
function sentence(parts: Part[]): Words {
  const merged: Part[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (typeof part === 'string' && typeof last === 'string') merged[merged.length - 1] = last + part;
    else if (part !== '') merged.push(part);
  }
  return merged.some((part) => typeof part !== 'string') ? merged : merged.join('');
}

/** Whether `value` is a sentence with parts. */
export function hasParts(value: unknown): value is Part[] {
  return Array.isArray(value) && value.some(isPart) && value.every((each) => typeof each === 'string' || isPart(each));
}

function isPart(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return ['args', 'option', 'flag', 'again'].some((name) => name in value);
}

/** `command('restore', namespace, 'FILE', option('replace'))` */
export function command(name: CommandName, namespace?: string, ...args: CommandPart['args']): CommandPart {
  return { command: name, namespace, args };
}

export function option(name: OptionName, value?: string | FieldPart): OptionPart {
  return { option: name, value };
}

/** Sentences as one, with `separator` between them. */
export function joined(sentences: Words[], separator: string): Words {
  return sentence(sentences.flatMap((each, index) => (index === 0 ? each : [separator, each].flat())));
}

/** Text of a sentence by a caller's own way to say its parts. */
export function spoken(sentence: Words, say: (part: Exclude<Part, string>) => string): string {
  if (typeof sentence === 'string') return sentence;
  return sentence.map((part) => (typeof part === 'string' ? part : say(part))).join('');
}

/** For logs and traces of a program: operations, options and fields by their names, as its calls have them. */
export function plain(sentence: Words): string {
  return spoken(sentence, (part) => {
    if ('again' in part) return 'do the same again';
    if ('command' in part) return part.command;
    const [name, value] = 'field' in part ? [part.field, part.value] : [part.option, part.value];
    return [name, typeof value === 'object' ? value.field : value].filter(Boolean).join(' ');
  });
}

/**
 * A name that is not of our own choice, as one word of a command that a person copies into a shell. Kubernetes lets users give some
 * objects any name, such as `x; curl …`.
 */
export function shellWord(name: string): string {
  if (/^\w[\w.:@-]*$/.test(name)) return name;
  const quoted = `'${name.replaceAll("'", "'\\''")}'`;
  return name.startsWith('-') ? `-- ${quoted}` : quoted;
}
