import { expect, test } from 'vitest';
import { withLine } from './hosts.ts';

const own = ['127.0.0.1 localhost', '192.0.2.9 k.test'];

test('a name has one line for each sandbox, and the last one that was asked for comes first', () => {
  const first = withLine(own, 'one', 'k.test', '192.0.2.1');
  expect(first).toEqual([...own, '192.0.2.1 k.test # k8sk8s sandbox one']);
  const both = withLine(first, 'two', 'k.test', '192.0.2.2');
  expect(both).toEqual([...own, '192.0.2.2 k.test # k8sk8s sandbox two', '192.0.2.1 k.test # k8sk8s sandbox one']);
  expect(withLine(both, 'one', 'k.test', '192.0.2.3')).toEqual([
    ...own,
    '192.0.2.3 k.test # k8sk8s sandbox one',
    '192.0.2.2 k.test # k8sk8s sandbox two',
  ]);
});

test('another name, and one that it only begins with, keep their places', () => {
  const before = withLine(own, 'one', 'k.test.example', '192.0.2.1');
  expect(withLine(before, 'two', 'k.test', '192.0.2.2')).toEqual([...before, '192.0.2.2 k.test # k8sk8s sandbox two']);
});
