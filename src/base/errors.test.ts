import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** Every `anchor: '…'` of the sources, with the file it stands in. */
function anchors(): Map<string, string> {
  const files = ['src', 'test/conformance'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
  );
  const found = new Map<string, string>();
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
    for (const [, anchor] of readFileSync(file, 'utf8').matchAll(/anchor: '([a-z-]+)'/g)) found.set(anchor!, file);
  }
  return found;
}

test('docs/checks.md has a heading for every anchor, and none that nothing uses', () => {
  const headings = [...readFileSync('docs/checks.md', 'utf8').matchAll(/^### ([a-z-]+)$/gm)].map(
    ([, heading]) => heading!,
  );
  expect(new Set(headings).size).toBe(headings.length);
  const used = anchors();
  expect([...used.keys()].filter((anchor) => !headings.includes(anchor))).toEqual([]);
  // file-not-readable is chosen by an expression.
  expect(headings.filter((heading) => !used.has(heading) && heading !== 'file-not-readable')).toEqual([]);
});
