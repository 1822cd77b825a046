import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, test } from 'vitest';

/** Lines; of functions and classes from the first to the last of the declaration (docs/adr/0034-sizes.md). */
const functionLimit = 80;
const classLimit = 150;
const fileLimit = 400;

/** What is longer, and why. An exception that is needed no more fails the test, so that the list does not outlive its reasons. */
const exceptions: Record<string, string> = {
  'test/api/access/cases-in.ts casesIn': 'a table of kubeconfigs',
  'test/api/access/cases-refused.ts casesRefused': 'a table of kubeconfigs',
  'test/api/access/cases-way.ts casesWay': 'a table of kubeconfigs',
  'test/faults/proxy.ts FaultProxy': 'the faults of one connection share its two sockets',
};

interface Long {
  name: string;
  lines: number;
}

const files = ['src', 'test'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.ts$/.test(file) && !/\.(test|d)\.ts$/.test(file))
    .map((file) => `${folder}/${file}`),
);

/** Functions and classes of a file that are longer than they may be. */
function long(file: string): Long[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: Long[] = [];
  const line = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const visit = (node: ts.Node) => {
    const limit = ts.isClassLike(node)
      ? classLimit
      : ts.isFunctionLike(node)
        ? functionLimit
        : Number.POSITIVE_INFINITY;
    const lines = line(node.end) - line(node.getStart(source)) + 1;
    if (lines > limit) found.push({ name: `${file} ${nameOf(node)}`, lines });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Of what declares it, or of the constant or the property that it is given to. */
function nameOf(node: ts.Node): string {
  const names = [node, node.parent].map((each) => ('name' in each ? (each.name as ts.Node | undefined) : undefined));
  return names.find((each) => each !== undefined)?.getText() ?? 'without a name';
}

test('a file of src has one subject, which takes no more lines than its limit', () => {
  const lines = (file: string) => readFileSync(file, 'utf8').split('\n').length - 1;
  expect(files.filter((file) => file.startsWith('src/') && lines(file) > fileLimit)).toEqual([]);
});

test('functions and classes are short, but for the exceptions that have a reason', { timeout: 120_000 }, () => {
  const found = files.flatMap(long);
  expect(found.filter(({ name }) => !(name in exceptions))).toEqual([]);
  expect(
    Object.keys(exceptions).filter((name) => !found.some((each) => each.name === name)),
    'exceptions that are not needed any more',
  ).toEqual([]);
});
