/**
 * A failure that the person at the keyboard can do something about. Everything else that is thrown is a bug of
 * k8sk8s, and the command line says so.
 */
export interface UserErrorInit {
  /** What happened, one sentence, names the thing. */
  what: string;
  /** Why, as far as k8sk8s knows; the server's own words where there are some. */
  why?: string;
  /** What to do now: an option, a command, a person to ask. */
  fix?: string;
  /** Heading in docs/checks.md, without the `#`. */
  anchor: string;
  /** Process exit code: 2 for usage and preflight, 1 for everything that failed later. */
  exitCode?: 1 | 2;
  cause?: unknown;
}

export class UserError extends Error {
  readonly what: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly anchor: string;
  readonly exitCode: 1 | 2;

  constructor(init: UserErrorInit) {
    super(init.why ? `${init.what}: ${init.why}` : init.what, { cause: init.cause });
    this.name = 'UserError';
    this.what = init.what;
    this.why = init.why;
    this.fix = init.fix;
    this.anchor = init.anchor;
    this.exitCode = init.exitCode ?? 1;
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
