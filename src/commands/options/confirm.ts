import { createInterface } from 'node:readline/promises';
import { UserError } from '../../base/errors.ts';

/**
 * Asks before something that cannot be taken back.
 *
 * @param action what is to be done, in the infinitive
 * @param consequence a sentence
 * @throws UserError `not-confirmed` when the answer is not yes, or there is nobody to ask
 */
export async function confirm(action: string, consequence: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UserError({
      what: `will not ${action} without being told so`,
      why: 'there is no terminal to ask at',
      fix: 'add --yes',
      anchor: 'not-confirmed',
      kind: 'refused',
    });
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Really ${action}? ${consequence} [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new UserError({
      what: 'nothing was done',
      why: 'the answer was not yes',
      anchor: 'not-confirmed',
      kind: 'refused',
    });
}
