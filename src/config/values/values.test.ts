import { expect, test } from 'vitest';
import type * as z from 'zod';
import type { FlagMeta } from '../fields/flag.ts';
import { allowedValues, refusedValues } from '../refusals.fixture.ts';
import { type ClusterSpec, clusterSpec } from '../schema.ts';

/** A value of a list's field stands for a list of it alone. */
function read(field: keyof ClusterSpec, value: unknown) {
  const schema = clusterSpec.shape[field] as z.ZodType;
  return schema.safeParse((schema.meta() as unknown as FlagMeta).list ? [value] : value);
}

test.each(refusedValues)('%s %j is refused, and the fact that matters is named', (field, value, fact) => {
  expect(read(field, value).error?.issues[0]?.message).toContain(fact);
});

test.each(allowedValues)('%s %j is allowed', (field, value) => {
  expect(read(field, value).success).toBe(true);
});
