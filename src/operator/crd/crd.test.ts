import { expect, test } from 'vitest';
import { clusterSpec } from '../../config/schema.ts';
import { structural } from './structural.ts';

const schema = structural(clusterSpec);

test('every field of the spec is in the schema, with the help of its option', () => {
  expect(Object.keys(schema.properties!)).toEqual(Object.keys(clusterSpec.shape));
  for (const [name, field] of Object.entries(schema.properties!))
    expect([name, field.type ?? field['x-kubernetes-int-or-string'], field.description]).toEqual([
      name,
      expect.toSatisfy((type) => typeof type === 'string' || type === true),
      expect.any(String),
    ]);
});

test('everything has a limit, since a rule costs what the largest value would cost', () => {
  const unlimited: string[] = [];
  const visit = (at: string, node: typeof schema): void => {
    if (node.type === 'string' && !node.enum && node.maxLength === undefined) unlimited.push(at);
    if (node.type === 'array' && node.maxItems === undefined) unlimited.push(at);
    if (node.additionalProperties && node.maxProperties === undefined) unlimited.push(at);
    for (const [name, child] of Object.entries(node.properties ?? {})) visit(`${at}.${name}`, child);
    if (node.items) visit(`${at}[]`, node.items);
    if (node.additionalProperties) visit(`${at}{}`, node.additionalProperties);
  };
  visit('spec', schema);
  expect(unlimited).toEqual([]);
});
