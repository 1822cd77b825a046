import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { anchors } from './anchors.ts';

test('docs/checks.md has a heading for every anchor, in the same order, and no other', () => {
  const headings = [...readFileSync('docs/checks.md', 'utf8').matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([...anchors]);
});

test('every anchor is used', () => {
  const sources = ['src', 'test/conformance'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /(?<!\.test)\.ts$/.test(file) && !file.endsWith('anchors.ts'))
      .map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
  );
  const used = (anchor: string) => sources.some((source) => new RegExp(`anchor:[^,\\n]*'${anchor}'`).test(source));
  expect(anchors.filter((anchor) => !used(anchor))).toEqual([]);
});
