import { expect, test } from 'vitest';
import type { FlagMeta } from './fields/flag.ts';
import { clusterSpec } from './schema.ts';

test('every field says how it is given on the command line, each by another flag', () => {
  const flags = Object.values(clusterSpec.shape).map((schema) => (schema.meta() as FlagMeta | undefined)?.flag);
  expect(flags).not.toContain(undefined);
  expect(new Set(flags).size).toBe(flags.length);
});
