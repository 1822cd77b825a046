import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Judgement } from './judgement.ts';
import { openOutside } from './outside.ts';

let server: Server;
let connections: number;

beforeEach(async () => {
  connections = 0;
  server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => void server.close());

const port = () => (server.address() as AddressInfo).port;
const strict = new Judgement({ closed: [], open: [] });
/** Takes 127.0.0.1 for an address of the Internet, so that there is something to connect to. */
const loopbackIsOpen = { refuses: (address: string) => (address === '127.0.0.1' ? undefined : 'private') };
const names =
  (...answers: string[][]) =>
  async () =>
    answers.shift()!.map((address) => ({ address }));

test.each([
  ['an address', '127.0.0.1'],
  ['an address as a number', '2130706433'],
  ['an address in hexadecimal parts', '0x7f.0.0.1'],
  ['an address in octal parts', '0177.0.0.1'],
  ['a short address', '127.1'],
  ['an IPv4 address inside of an IPv6 address', '::ffff:127.0.0.1'],
  ['the name of this machine', 'localhost'],
])('%s is judged by where it leads', async (_, host) => {
  await expect(openOutside(strict, host, port(), 1000)).rejects.toMatchObject({ kind: 'probed' });
  expect(connections).toBe(0);
});

test('the connection goes to the address that was judged, though the name leads elsewhere by then', async () => {
  const resolve = names(['127.0.0.1'], ['10.0.0.1']);
  (await openOutside(loopbackIsOpen, 'changes.example.com', port(), 1000, resolve)).close();
  await expect(openOutside(loopbackIsOpen, 'changes.example.com', port(), 1000, resolve)).rejects.toThrow('10.0.0.1');
});

test('of several addresses those that are open are dialled, and no other', async () => {
  (await openOutside(loopbackIsOpen, 'x', port(), 1000, names(['10.0.0.1', '127.0.0.1']))).close();
  await expect(openOutside(loopbackIsOpen, 'x', port(), 1000, names(['10.0.0.1', '::1']))).rejects.toMatchObject({
    kind: 'probed',
    message: expect.stringMatching(/10\.0\.0\.1.*::1/),
  });
});

test('a name that leads nowhere is refused like one that leads inside', async () => {
  const nobody = async () => {
    throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  };
  await expect(openOutside(strict, 'x', 443, 1000, nobody)).rejects.toMatchObject({ kind: 'probed' });
  await expect(openOutside(strict, 'x', 443, 1000, names([]))).rejects.toMatchObject({ kind: 'probed' });
});
