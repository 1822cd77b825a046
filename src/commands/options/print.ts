import { told } from '../../ui/words.ts';

/**
 * The result of a command on standard output: with `--output json` the data, else what `render` makes of it.
 *
 * @param render text for people without its last line break, or nothing where it has told them itself, on stderr
 */
export function print<T>({ output }: { output?: string }, data: T, render: (data: T) => unknown): void {
  const text = output === 'json' ? JSON.stringify(told(data), null, 2) : render(data);
  if (typeof text === 'string') process.stdout.write(`${text}\n`);
}
