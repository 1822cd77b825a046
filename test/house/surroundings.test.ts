import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { imports, roomOf, said, sources } from './imports.ts';

/*
 * The core runs inside another program: what lies below the commands asks nothing of the process that it runs in, neither its
 * environment nor its folders nor who it is. All of that is handed in (docs/adr/0035-the-core-in-another-program.md).
 */

/** Rooms that are the command line's own, and programs of their own. */
const outside = ['commands', 'sandbox', 'programs', 'cli.ts'];

/** The exceptions, each with its reason. */
const exceptions: Record<string, string> = {
  'backup/bucket.ts': "AWS's client takes from the environment alone that it is not to warn of Node.js 20",
  'base/cache-root.ts': 'says where the cache folder is, to the rooms outside alone',
  'kubeconfig/lock.ts': 'a lock says which process has made it, to whoever finds it later',
  'kubeconfig/surroundings.ts': 'tells the surroundings of this process, to the rooms outside alone',
  'kubeconfig/write.ts': 'a file keeps its owner, which only root has to see to',
  'ui/board.ts': 'writes to the terminal, of the rooms outside alone',
  'ui/colours.ts': 'asks what the terminal can show, of the rooms outside alone',
  'ui/terminal.ts': 'writes to the terminal, of the rooms outside alone',
};
const forOutside = ['cacheRoot', 'coloursFor', 'LiveBoard', 'terminalReporter', 'ownSurroundings'];

const core = sources.filter((file) => !outside.includes(roomOf(file)) && !file.startsWith('backup/job/'));

/** A source without comments, and without template strings: some are programs for pods, which have a process of their own. */
function code(file: string): string {
  return readFileSync(`src/${file}`, 'utf8')
    .replace(/\/\*.*?\*\//gs, '')
    .replace(/(^|\s)\/\/.*$/gm, '')
    .replace(/`(?:\\.|\$\{[^`]*?\}|[^`\\])*`/gs, '``');
}

test('nothing below the commands reads the process that it runs in', () => {
  const own = /\bprocess\.|'node:(os|process|tty)'|import\.meta/;
  const readers = core.filter((file) => own.test(code(file)));
  expect(readers.filter((file) => !(file in exceptions))).toEqual([]);
  expect(Object.keys(exceptions).filter((file) => !readers.includes(file))).toEqual([]);
});

test('what reads the process for the command line is called by the command line alone', () => {
  const callers = core.filter(
    (file) => !(file in exceptions) && forOutside.some((name) => new RegExp(`\\b${name}\\(`).test(code(file))),
  );
  expect(callers).toEqual([]);
});

test('src takes nothing from test', () => {
  expect(imports.filter(({ to }) => to.startsWith('../test/')).map(said)).toEqual([]);
});
