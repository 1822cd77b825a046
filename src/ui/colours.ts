import { Chalk } from 'chalk';

/** Colours for `stream`: none off a terminal and none with NO_COLOR (https://no-color.org). */
export function coloursFor(stream: NodeJS.WriteStream): InstanceType<typeof Chalk> {
  const plain = !stream.isTTY || (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb';
  return new Chalk({ level: plain ? 0 : 1 });
}
