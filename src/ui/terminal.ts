import type { Ora } from 'ora';
import { coloursFor } from './colours.ts';
import { printable, printableLines } from './printable.ts';
import { completeReporter, formatDuration, type Phase, type Reporter } from './reporter.ts';
import { inTerminal } from './words.ts';

export interface TerminalOptions {
  stream?: NodeJS.WriteStream;
  quiet?: boolean;
  verbose?: boolean;
}

/** Progress for people: a spinner on a terminal, a line for each event elsewhere, errors and warnings only when quiet. */
export function terminalReporter(options: TerminalOptions = {}): Reporter {
  const stream = options.stream ?? process.stderr;
  const colour = coloursFor(stream);
  const live = Boolean(stream.isTTY) && !options.quiet && !options.verbose;
  let spinner: Ora | undefined;

  function write(text: string): void {
    const current = spinner;
    current?.clear();
    stream.write(`${text}\n`);
    current?.render();
  }

  return completeReporter({
    line: (text) => {
      if (!options.quiet) write(printableLines(inTerminal(text)));
    },
    warn: (text) => write(`${colour.yellow('WARNING')} ${printableLines(inTerminal(text))}`),
    debug: (text) => {
      if (options.verbose) write(colour.dim(printableLines(text)));
    },
    begin(title): Phase {
      const text = printable(title);
      const started = performance.now();
      const elapsed = () => formatDuration(performance.now() - started);
      let last = '';
      let ended = false;
      // Half as long to load as all of Node.js, and wanted on terminals only.
      if (live)
        void import('ora').then(({ default: ora }) => {
          if (!ended) spinner = ora({ text, stream, discardStdin: false }).start();
        });
      const end = (line: string, always = false) => {
        ended = true;
        spinner?.stop();
        spinner = undefined;
        if (!options.quiet || always) stream.write(`${line}\n`);
      };
      return {
        update(raw) {
          const now = printable(raw);
          if (spinner) spinner.text = `${text}: ${now} (${elapsed()})`;
          else if (options.verbose && now !== last) write(colour.dim(`${text}: ${now} (${elapsed()})`));
          last = now;
        },
        done: (final) => end(`${final === undefined ? text : printable(final)} ${colour.dim(`(${elapsed()})`)}`),
        fail: (final) =>
          end(
            `${colour.red('FAILED')} ${final === undefined ? text : printable(final)} ${colour.dim(`(${elapsed()})`)}`,
            true,
          ),
      };
    },
  });
}
