import { expect, test } from 'vitest';
import { table } from './table.ts';
import { terminalReporter } from './terminal.ts';

// Names of workers, reasons of pods and words of servers come from whoever has a cluster of this plane or a pod beside it.
const hostile = 'a\x1b]0;title\x07\x1b[2J\rb\x9b\u202e';

test('T5: nothing that is reported controls a terminal', () => {
  const lines: string[] = [];
  const stream = { isTTY: false, write: (text: string) => lines.push(text) > 0 } as NodeJS.WriteStream;
  const reporter = terminalReporter({ stream, verbose: true });
  for (const tell of [reporter.line, reporter.warn, reporter.debug]) tell(hostile);
  reporter.begin(hostile).done();
  const phase = reporter.begin('x');
  phase.update(hostile);
  phase.fail(hostile);
  const written = lines.join('');
  expect(written.match(/\\u001b\]0;title/g)!.length).toBeGreaterThanOrEqual(6);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(written).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

test('a cell of a table stays in its line', () => {
  expect(table(['A', 'B'], [['x\nHealth: healthy', 'y']]).split('\n')).toHaveLength(2);
});
