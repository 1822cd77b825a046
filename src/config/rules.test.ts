import { describe, expect, test } from 'vitest';
import { inTerminal } from '../ui/words.ts';
import { parseSpec } from './parse.ts';
import { allowedTogether, refusedTogether } from './refusals.fixture.ts';
import { problemsBetween } from './rules.ts';
import type { ClusterSpec } from './schema.ts';

const sound = parseSpec({ host: 'k.example.com' }, 'the test');
const problems = (changed: Partial<ClusterSpec>) => problemsBetween({ ...sound, ...changed });

describe('rules between fields', () => {
  test('of the defaults none is broken', () => {
    expect(problemsBetween(sound)).toEqual([]);
  });
  test.each(refusedTogether)('%j is refused by the name of an option', (changed, name) => {
    expect(problems(changed).map(inTerminal)).toEqual([expect.stringContaining(name)]);
  });
  test.each(allowedTogether)('%j is allowed: what would be refused fits the other field', (changed) => {
    expect(problems(changed)).toEqual([]);
  });
});
