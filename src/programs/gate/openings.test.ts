import { beforeEach, expect, test } from 'vitest';
import { createAuthority } from '../../pki/issue.ts';
import { Openings } from './openings.ts';

let text: string;
let said: string[];
let now: number;

beforeEach(() => {
  text = JSON.stringify({ open: [], discovery: [] });
  said = [];
  now = 0;
});

const openings = () =>
  new Openings(
    { closed: [], open: ['10.9.0.0/16'] },
    () => text,
    (words) => said.push(words),
    () => now,
  );

const refuses = async (from: Openings, host: string, port = 443) =>
  (await from.judgementOf(host, port)).refuses(host, host, port);

test('what the file opens is open from the next connection on, and closed again when it is gone from there', async () => {
  const all = openings();
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
  expect(await refuses(all, '10.9.1.1')).toBeUndefined();
  text = JSON.stringify({ open: ['10.1.1.1:443'], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  expect(await refuses(all, '10.1.1.1', 8443)).toBeTypeOf('string');
  text = JSON.stringify({ open: [], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
});

test('a file that cannot be read changes nothing, and is said', async () => {
  const all = openings();
  text = JSON.stringify({ open: ['10.1.1.1:443'], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  text = '{';
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  expect(said.join()).toContain('openings');
});

test('an issuer on loopback is asked by nobody, and asking again waits', async () => {
  const all = openings();
  const url = 'https://127.0.0.1:1/.well-known/openid-configuration';
  text = JSON.stringify({ open: ['127.0.0.1:1'], discovery: [{ url, ca: (await createAuthority('x')).certificate }] });
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
  expect(said.filter((words) => words.includes('is closed (loopback)'))).toHaveLength(1);
  await refuses(all, '10.1.1.2');
  expect(said).toHaveLength(1);
  now = 10_000;
  await refuses(all, '10.1.1.2');
  expect(said).toHaveLength(2);
});
