import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type WebSocket from 'ws';
import { ExecError, runOverWebSocket } from './exec.ts';

/** A socket whose other end says what the test tells it to. */
class FakeSocket extends EventEmitter {
  sent: Buffer[] = [];
  paused = true;
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  send(data: Buffer, done: () => void): void {
    this.sent.push(data);
    done();
  }
  terminate(): void {
    this.emit('close');
  }
  say(channel: number, text: string): void {
    this.emit('message', Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
  }
  end(status?: object): void {
    if (status) this.say(3, JSON.stringify(status));
    this.emit('close');
  }
}

function talk(options: Parameters<typeof runOverWebSocket>[1] = {}) {
  const socket = new FakeSocket();
  return { socket, result: runOverWebSocket(socket as unknown as WebSocket, options) };
}

const failed = (code: string) => ({
  status: 'Failure',
  reason: 'NonZeroExitCode',
  details: { causes: [{ reason: 'ExitCode', message: code }] },
});

test('output of both kinds and the exit code come back', async () => {
  const { socket, result } = talk();
  socket.say(1, 'a');
  socket.say(2, 'oh');
  socket.say(1, 'b');
  socket.end(failed('3'));
  expect(await result).toEqual({ code: 3, stdout: 'ab', stderr: 'oh' });
});

test('a connection that ends without a status is no success', async () => {
  const { socket, result } = talk();
  socket.say(1, 'half of a snapsh');
  socket.end();
  await expect(result).rejects.toThrow(ExecError);
});

test('a command that could not be started says why', async () => {
  const { socket, result } = talk();
  socket.end({ status: 'Failure', reason: 'InternalError', message: 'exec: "sh": executable file not found' });
  await expect(result).rejects.toThrow('executable file not found');
});

test('who takes the output is waited for, and may refuse it', async () => {
  const taken: string[] = [];
  const { socket, result } = talk({ onStdout: async (chunk) => void taken.push(chunk.toString()) });
  socket.say(1, 'a');
  expect(socket.paused).toBe(true);
  socket.say(1, 'b');
  socket.end({ status: 'Success' });
  expect(await result).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(taken).toEqual(['a', 'b']);

  const full = talk({ onStdout: () => Promise.reject(new Error('disk full')) });
  full.socket.say(1, 'a');
  await expect(full.result).rejects.toThrow('disk full');
});

test('input is sent to its end, and the end is told', async () => {
  const { socket, result } = talk({ stdin: Readable.from([Buffer.from('x')]) });
  await new Promise((resolve) => setImmediate(resolve));
  socket.end({ status: 'Success' });
  await result;
  expect(socket.sent.map((each) => [...each])).toEqual([
    [0, 120],
    [255, 0],
  ]);
});

test('a command that does not end is left after its time', async () => {
  await expect(talk({ timeout: 20 }).result).rejects.toThrow('did not end in time');
});

test('a command that writes without an end is ended', async () => {
  for (const channel of [1, 2]) {
    const { socket, result } = talk();
    const outcome = expect(result).rejects.toThrow(ExecError);
    let ended = false;
    socket.once('close', () => {
      ended = true;
    });
    const some = 'x'.repeat(1 << 20);
    for (let mebibytes = 0; !ended && mebibytes < 100; mebibytes++) socket.say(channel, some);
    expect(ended).toBe(true);
    await outcome;
  }
});
