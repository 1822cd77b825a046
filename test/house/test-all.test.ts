import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { filesOfTestAll } from '../test-all.ts';

test('what belongs to `npm run test:all` alone is in the table of test/test-all.ts, and every row there has its file', () => {
  const sources = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const read = (file: string) => readFileSync(`test/${file}`, 'utf8');
  const reading = sources.filter((file) => /env\.K8SK8S_TEST\b/.test(read(file)));
  expect(reading).toEqual(['test-all.ts']);
  expect(filesOfTestAll.filter((file) => !read(`${file}.test.ts`).includes(`runsAllOf('${file}')`))).toEqual([]);
});
