import { messageOf } from '../base/errors.ts';
import { command, plain, words } from '../base/words.ts';
import { explainCallError, isNotFound, missingRight } from '../kube/errors.ts';
import type { OperatorOptions } from './options.ts';

/** Milliseconds after which what stays the same is told again. */
const reminder = 5 * 60_000;

/**
 * What the operator could not do and tries again. One refusal does not end it: an API server knows a role a moment after it was made, a
 * token may be exchanged, and a definition be on its way. What lasts is told when it begins, and every five minutes.
 */
export class Setbacks {
  readonly #log: OperatorOptions['log'];
  readonly #told = new Map<string, { text: string; at: number }>();

  constructor(log: OperatorOptions['log']) {
    this.#log = log;
  }

  /** @param doing in words that follow "cannot": `watch HostedControlPlanes` */
  tell(doing: string, error: unknown): void {
    const text = setbackOf(doing, error);
    const before = this.#told.get(doing);
    const now = performance.now();
    if (before?.text === text && now - before.at < reminder) return;
    this.#told.set(doing, { text, at: now });
    this.#log({ level: 'warning', text });
  }
}

/** Pure. */
function setbackOf(doing: string, error: unknown): string {
  const right = missingRight(error);
  const why = right
    ? words`its account has no rule for "${right.verb}" on "${right.resource}", which ${command('operator install')} makes (${messageOf(error)})`
    : isNotFound(error)
      ? words`the infra cluster does not know the kind; ${command('operator install')} makes its definition`
      : messageOf(explainCallError(error, doing));
  return plain(words`cannot ${doing}, and tries again: ${why}`);
}
