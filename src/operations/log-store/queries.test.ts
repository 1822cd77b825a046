import { expect, test } from 'vitest';
import { findQuery, linkTo, savedQueries, within } from './queries.ts';

test('a saved question is found in one word of the shell or in several, with hyphens or without', () => {
  for (const words of [
    ['who deleted team/web'],
    ['who', 'deleted', 'team/web'],
    ['who deleted', 'team/web'],
    ['who-deleted', 'team/web'],
  ])
    expect(findQuery(words), words.join('|')).toMatchObject({ query: { name: 'who deleted' }, rest: ['team/web'] });
  expect(findQuery(['errors'])?.rest).toEqual([]);
  expect(findQuery(['who stole', 'team/web'])).toBeUndefined();
});

test('names are no part of the query language, whatever is in them', () => {
  const { query } = findQuery(['who deleted', 'a/b'])!;
  expect(query.logsql('team/x" or *')).toBe(
    'type:=audit verb:in(delete, deletecollection) namespace:="team" (name:="x\\" or *" or verb:=deletecollection)',
  );
  expect(query.logsql('node-1')).toContain('namespace:="" (name:="node-1"');
});

test('each question has a name of its own, none begins with another one, and its link names the query and the time', () => {
  const names = savedQueries.map(({ name }) => name);
  expect(names.filter((name) => names.some((other) => other !== name && name.startsWith(other)))).toEqual([]);
  const link = new URL(linkTo('http://127.0.0.1:9', 'type:=audit "a b"'));
  expect(new URLSearchParams(link.hash.slice(3)).get('query')).toBe('type:=audit "a b"');
  expect(within('1d', '*')).toBe('_time:1d *');
});
