import type { Anchor } from './anchors.ts';

/**
 * What a failure means for whoever asked:
 * `usage`: what was given cannot be used, and trying again with the same is of no use;
 * `refused`: as things are now it was not begun; nothing was changed;
 * `failed`: it was begun and did not come to its end.
 */
export type FailureKind = 'usage' | 'refused' | 'failed';

export interface UserErrorInit {
  /** What happened, one sentence, names the thing. */
  what: string;
  /** Why, as far as k8sk8s knows; the server's own words where there are some. */
  why?: string;
  /** What to do now: an option, a command, a person to ask. */
  fix?: string;
  anchor: Anchor;
  /** Default: `failed`. */
  kind?: FailureKind;
  cause?: unknown;
}

/**
 * A failure that the person at the keyboard can do something about. Everything else that is thrown is a bug of
 * k8sk8s, and the command line says so.
 */
export class UserError extends Error {
  readonly what: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly anchor: Anchor;
  readonly kind: FailureKind;

  constructor(init: UserErrorInit) {
    super(init.why ? `${init.what}: ${init.why}` : init.what, { cause: init.cause });
    this.name = 'UserError';
    this.what = init.what;
    this.why = init.why;
    this.fix = init.fix;
    this.anchor = init.anchor;
    this.kind = init.kind ?? 'failed';
  }
}

/** What happened, why, and what to do, a line each. */
export function explained({ what, why, fix }: UserError): string {
  return [what, why && `  why: ${why.trimEnd().replace(/\n(?=\S)/g, '\n  ')}`, fix && `  do:  ${fix}`]
    .filter(Boolean)
    .join('\n');
}

/** The message of anything that can be thrown, in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0] ?? '';
}
