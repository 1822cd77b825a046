import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const counts = { K: 17, L: 10, P: 7, T: 6, W: 2 };
const ids = Object.entries(counts).flatMap(([kind, count]) =>
  Array.from({ length: count }, (_, index) => `${kind}${index + 1}`),
);
const rows = [...readFileSync('docs/reported.md', 'utf8').matchAll(/^\| ([A-Z]\d+) \| .* \| (.*) \|$/gm)].map(
  ([, id, tests]) => ({ id: id!, files: [...tests!.matchAll(/`([^`]+)`/g)].map(([, file]) => file!) }),
);

test('every fault that was reported has its line in docs/reported.md', () => {
  expect(rows.map(({ id }) => id)).toEqual(ids);
  expect(rows.filter(({ files }) => files.length === 0)).toEqual([]);
});

test.each(rows.flatMap(({ id, files }) => files.map((file) => [id, file])))(
  '%s begins the name of a test in %s',
  (id, file) => {
    expect(readFileSync(file!, 'utf8')).toMatch(new RegExp(`['"\`](?:[A-Z]\\d+, )*${id}[:,] `));
  },
);
