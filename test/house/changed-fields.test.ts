import { expect, test } from 'vitest';
import { clusterSpec } from '../../src/config/schema.ts';
import { changes, elsewhere, fromMany, fromOne } from '../e2e/spec-changes.ts';

test('every field of the spec is changed under load (e2e/availability), or it is said why not', () => {
  const changed = [...changes, ...fromOne, ...fromMany].flatMap(({ fields }) => fields);
  const forgotten = Object.keys(clusterSpec.shape).filter((field) => !changed.some((each) => each === field));
  expect(forgotten.filter((field) => !(field in elsewhere))).toEqual([]);
});
