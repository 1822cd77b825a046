import { describe, expect, test } from 'vitest';
import { differences } from './differences.ts';

const object = (spec: object, metadata: object = {}) => ({ metadata, spec });

describe('differences', () => {
  test('equal objects have none, whatever the order of keys and what the server keeps about them', () => {
    expect(
      differences(
        {
          ...object({ a: 1, b: { c: 2, d: 3 } }, { resourceVersion: '5', generation: 2, managedFields: [{}] }),
          status: 1,
        },
        object({ b: { d: 3, c: 2 }, a: 1 }, { resourceVersion: '9' }),
      ),
    ).toEqual([]);
  });
  test('how often a DaemonSet was changed is no difference', () => {
    const counted = (n: string) => object({}, { annotations: { 'deprecated.daemonset.template.generation': n } });
    expect(differences(counted('1'), counted('2'))).toEqual([]);
  });
  test('a changed, a missing and a superfluous field', () => {
    expect(differences(object({ changed: 1, extra: 'x' }), object({ changed: 2, missing: 'y' }))).toEqual([
      { path: 'spec.changed', live: 1, recorded: 2 },
      { path: 'spec.extra', live: 'x', recorded: undefined },
      { path: 'spec.missing', live: undefined, recorded: 'y' },
    ]);
  });
  test('list items go by their name, not by their place', () => {
    const a = { name: 'a', image: 'one' };
    const b = { name: 'b', image: 'two' };
    expect(differences(object({ containers: [b, a] }), object({ containers: [a, b] }))).toEqual([]);
    expect(differences(object({ containers: [b, { ...a, image: 'three' }] }), object({ containers: [a, b] }))).toEqual([
      { path: 'spec.containers[a].image', live: 'three', recorded: 'one' },
    ]);
  });
  test('mounts of one volume are told apart by where they are', () => {
    const mounts = (...paths: string[]) => object({ mounts: paths.map((mountPath) => ({ name: 'data', mountPath })) });
    expect(differences(mounts('/a', '/b'), mounts('/a'))).toEqual([
      { path: 'spec.mounts[/b]', live: { name: 'data', mountPath: '/b' }, recorded: undefined },
    ]);
  });
  test('a list of arguments is one field, and its order counts', () => {
    expect(differences(object({ args: ['--a', '--b'] }), object({ args: ['--b', '--a'] }))).toEqual([
      { path: 'spec.args', live: ['--a', '--b'], recorded: ['--b', '--a'] },
    ]);
    expect(differences(object({ args: [] }), object({ args: [] }))).toEqual([]);
  });
  test('a key with dots in it does not look like a path', () => {
    expect(differences(object({}, { labels: { 'app.kubernetes.io/name': 'x' } }), object({}, { labels: {} }))).toEqual([
      { path: 'metadata.labels["app.kubernetes.io/name"]', live: 'x', recorded: undefined },
    ]);
  });
});
