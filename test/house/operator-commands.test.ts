import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commands } from './commands.ts';

// The table of docs/operator.md says of every command what it does on a plane that follows an object. src/operations/frame.test.ts runs
// what is refused and what takes the Lease.

const [, table = ''] = /\| command \| on a plane that follows an object \|\n\| --- \| --- \|\n((?:\|.*\n)+)/.exec(
  readFileSync('docs/operator.md', 'utf8'),
)!;
/** Commands of the first column: `certs renew`, `sleep --schedule`; a first word alone is all of its commands. */
const told = table
  .split('\n')
  .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z][a-z -]*)`/g)].map(([, name]) => name!));

test('every command has its place in the table, and none is in it that does not exist', () => {
  const there = commands.filter(({ runs, hidden }) => runs && !hidden);
  expect(there.length).toBeGreaterThan(50);
  const isTold = (name: string) => told.includes(name) || told.includes(name.split(' ')[0]!);
  expect(there.map(({ name }) => name).filter((name) => !isTold(name))).toEqual([]);
  const exists = (entry: string) => {
    const [name, option] = entry.split(' --');
    const of = there.filter((each) => each.name === name || each.name.startsWith(`${name} `));
    return of.some(({ flags }) => option === undefined || flags.includes(`--${option}`));
  };
  expect(told.filter((entry) => !exists(entry))).toEqual([]);
});

/** Activities of the lock that have another name on the command line, or none. */
const inTable: Record<string, string[]> = {
  logs: ['logs enable', 'logs disable'],
  'network probe': ['status --probe-network'],
  // What the operator does to a plane whose deletion policy was changed.
  own: [],
};

test('what takes the lock of a plane has a row of its own in the table, and not that of the commands that work as ever', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  const activities = files.flatMap((file) =>
    [...readFileSync(`src/${file}`, 'utf8').matchAll(/with(?:Lock|Plane)\(\s*cluster,\s*'([a-z -]+)'/g)].map(
      ([, activity]) => activity!,
    ),
  );
  expect(activities.length).toBeGreaterThan(15);
  const asEver = table.split('\n').find((row) => row.includes('| as on any plane |'))!;
  const names = activities.flatMap((activity) => inTable[activity] ?? [activity]);
  expect(names.filter((name) => !told.includes(name))).toEqual([]);
  expect(names.filter((name) => asEver.includes(`\`${name}\``))).toEqual([]);
});
