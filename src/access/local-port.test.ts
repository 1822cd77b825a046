import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { freePort } from '../../test/free-port.ts';
import { openLocalPort } from './local-port.ts';

/** A stream that answers in capitals. */
const shouting = () =>
  new Duplex({
    read() {},
    write(chunk, _, done) {
      this.push(String(chunk).toUpperCase());
      done();
    },
  });

async function answerAt(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('hello');
  const [chunk] = await once(socket, 'data');
  socket.destroy();
  return String(chunk);
}

test('a connection is led on, at the port that was asked for', async () => {
  const port = await freePort();
  const local = await openLocalPort(
    async () => shouting(),
    () => undefined,
    { port },
  );
  expect(local.port).toBe(port);
  expect(await answerAt(port)).toBe('HELLO');
  await expect(
    openLocalPort(
      async () => shouting(),
      () => undefined,
      { port },
    ),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await local.close();
});

test('it is dialled anew for as long as the patience lasts', async () => {
  let dialled = 0;
  const dial = async () => {
    if (++dialled < 2) throw new Error('not yet');
    return shouting();
  };
  const patient = await openLocalPort(dial, () => undefined);
  expect(await answerAt(patient.port)).toBe('HELLO');
  await patient.close();

  dialled = 0;
  const problems: string[] = [];
  const impatient = await openLocalPort(dial, ({ message }) => problems.push(message), { patience: 0 });
  const socket = net.connect(impatient.port, '127.0.0.1').on('error', () => undefined);
  await once(socket, 'close');
  expect(problems).toEqual(['not yet']);
  await impatient.close();
});
