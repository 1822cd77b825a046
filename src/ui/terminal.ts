import { Chalk } from 'chalk';
import ora from 'ora';
import { formatDuration, type Phase, type Reporter } from './reporter.ts';

export interface TerminalOptions {
  stream?: NodeJS.WriteStream;
  quiet?: boolean;
  verbose?: boolean;
}

/** Colours for `stream`: none off a terminal and none with NO_COLOR (https://no-color.org). */
export function coloursFor(stream: NodeJS.WriteStream): InstanceType<typeof Chalk> {
  const plain = !stream.isTTY || (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb';
  return new Chalk({ level: plain ? 0 : 1 });
}

/** Progress for people: a spinner on a terminal, a line for each event elsewhere, errors and warnings only when quiet. */
export function terminalReporter(options: TerminalOptions = {}): Reporter {
  const stream = options.stream ?? process.stderr;
  const colour = coloursFor(stream);
  const live = Boolean(stream.isTTY) && !options.quiet && !options.verbose;
  let spinner: ReturnType<typeof ora> | undefined;

  function write(text: string): void {
    const current = spinner;
    current?.clear();
    stream.write(`${text}\n`);
    current?.render();
  }

  return {
    line: (text) => {
      if (!options.quiet) write(text);
    },
    warn: (text) => write(`${colour.yellow('WARNING')} ${text}`),
    debug: (text) => {
      if (options.verbose) write(colour.dim(text));
    },
    begin(text): Phase {
      const started = performance.now();
      const elapsed = () => formatDuration(performance.now() - started);
      let last = '';
      if (live) spinner = ora({ text, stream, discardStdin: false }).start();
      const end = (line: string, always = false) => {
        spinner?.stop();
        spinner = undefined;
        if (!options.quiet || always) stream.write(`${line}\n`);
      };
      return {
        update(now) {
          if (spinner) spinner.text = `${text}: ${now} (${elapsed()})`;
          else if (options.verbose && now !== last) write(colour.dim(`${text}: ${now} (${elapsed()})`));
          last = now;
        },
        done: (final) => end(`${final ?? text} ${colour.dim(`(${elapsed()})`)}`),
        fail: (final) => end(`${colour.red('FAILED')} ${final ?? text} ${colour.dim(`(${elapsed()})`)}`, true),
      };
    },
  };
}
