import type { Anchor } from './anchors.ts';
import { plain, type Words, words } from './words.ts';

/**
 * Something that is not as it should be, and what to do about it: an error, the outcome of a check, a problem of a plane. Its
 * sentences hold facts; what names a command, an option or a field of the spec is a part of its own in them (words.ts).
 */
export interface Finding {
  /** What happened, one sentence, names the thing. */
  what: Words;
  /** Why, as far as k8sk8s knows; the server's own words where there are some. */
  why?: Words;
  /** What to do now: an option, a command, a person to ask. */
  fix?: Words;
  anchor: Anchor;
  severity: Severity;
}

/** `warning`: worth to know, and no reason to stop. */
export type Severity = 'fatal' | 'warning';

/**
 * What a failure means for whoever asked:
 * `usage`: what was given cannot be used, and trying again with the same is of no use;
 * `refused`: as things are now it was not begun; nothing was changed;
 * `failed`: it was begun and did not come to its end.
 */
export type FailureKind = 'usage' | 'refused' | 'failed';

export interface UserErrorInit extends Omit<Finding, 'severity'> {
  /** Default: `failed`. */
  kind?: FailureKind;
  cause?: unknown;
}

/**
 * A failure that the person at the keyboard can do something about. Everything else that is thrown is a bug of
 * k8sk8s, and the command line says so.
 */
export class UserError extends Error implements Finding {
  readonly what: Words;
  readonly why: Words | undefined;
  readonly fix: Words | undefined;
  readonly anchor: Anchor;
  readonly severity = 'fatal';
  readonly kind: FailureKind;

  constructor(init: UserErrorInit) {
    super(plain(factsOf(init)), { cause: init.cause });
    this.name = 'UserError';
    this.what = init.what;
    this.why = init.why;
    this.fix = init.fix;
    this.anchor = init.anchor;
    this.kind = init.kind ?? 'failed';
  }
}

/** What happened and why, as one sentence. */
export function factsOf({ what, why }: Pick<Finding, 'what' | 'why'>): Words {
  return why ? words`${what}: ${why}` : what;
}

/** The message of anything that can be thrown, in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0] ?? '';
}

/** The same with the parts of its sentences, for a sentence of another one; a sentence that is a list begins on a line of its own. */
export function said(error: unknown): Words {
  return error instanceof UserError ? factsOf(error) : messageOf(error);
}

/** Findings of one kind that are told one by one: whoever may make a thousand objects is not to fill the operator's screen. */
const toldOneByOne = 5;

/** Findings about some of `all`, and how many more there are in the words of `more`. */
export function firstFew<T>(all: T[], tell: (each: T) => Finding, more: (count: number) => string): Finding[] {
  const told = all.slice(0, toldOneByOne).map(tell);
  const last = told.at(-1);
  const left = all.length - told.length;
  return last && left > 0 ? [...told, { ...last, what: more(left), why: undefined }] : told;
}
