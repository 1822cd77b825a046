import type { Readable } from 'node:stream';
import type WebSocket from 'ws';
import { messageOf } from '../base/errors.ts';
import type { KubeStatus } from './errors.ts';

export interface ExecOptions {
  /** Needed where the pod has more than one. */
  container?: string;
  /** What the command reads; its end is told to the command. */
  stdin?: Readable;
  /** Takes standard output as it comes, instead of keeping it; the next piece waits until it is done. */
  onStdout?: (chunk: Buffer) => void | Promise<void>;
  /** Milliseconds for all of it; default 60 s. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface ExecResult {
  /** Exit code of the command. */
  code: number;
  /** Empty with `onStdout`. */
  stdout: string;
  stderr: string;
}

/** A command in a container that was not carried out to its end: the way to it broke, or it never started. */
export class ExecError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ExecError';
  }
}

/** The subprotocol in which standard input can be ended without ending the command. */
export const execProtocol = 'v5.channel.k8s.io';

/** Bytes of what a command writes that are kept: who stands in the place of a pod may write without an end. */
const longest = { stdout: 16 << 20, stderr: 1 << 20 };

/** First byte of every message: which stream it belongs to (k8s.io/apimachinery/pkg/util/remotecommand). */
const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 };

/**
 * Speaks remote command over an open, paused WebSocket until the command has ended.
 *
 * @throws ExecError when the connection ends before the command's status came, or the command writes more than is kept
 */
export async function runOverWebSocket(socket: WebSocket, options: ExecOptions): Promise<ExecResult> {
  const kept: Buffer[] = [];
  const errors: Buffer[] = [];
  let status: KubeStatus | undefined;
  let taking: Promise<void> = Promise.resolve();
  let refused: unknown;
  const length = { stdout: 0, stderr: 0 };
  const keep = (stream: keyof typeof length, into: Buffer[], rest: Buffer) => {
    length[stream] += rest.length;
    if (length[stream] <= longest[stream]) return void into.push(rest);
    refused ??= new ExecError(`the command wrote more than ${longest[stream] >> 20} MiB to ${stream}`);
    socket.terminate();
  };

  socket.on('message', (message: Buffer) => {
    const rest = message.subarray(1);
    if (message[0] === channel.stderr) keep('stderr', errors, rest);
    else if (message[0] === channel.status) status = JSON.parse(rest.toString('utf8')) as KubeStatus;
    else if (message[0] === channel.stdout && rest.length > 0) {
      if (!options.onStdout) return keep('stdout', kept, rest);
      const take = options.onStdout;
      socket.pause();
      taking = taking
        .then(() => take(rest))
        .catch((error) => {
          refused ??= error;
          socket.terminate();
        })
        .finally(() => socket.resume());
    }
  });
  const limit = AbortSignal.timeout(options.timeout ?? 60_000);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const stop = () => socket.terminate();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  let broken: unknown;
  socket.on('error', (error) => {
    broken ??= error;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (options.stdin)
    send(socket, options.stdin).catch((error) => {
      broken ??= error;
      socket.terminate();
    });
  socket.resume();
  await closed;
  signal.removeEventListener('abort', stop);
  await taking;
  if (refused !== undefined) throw refused;
  options.signal?.throwIfAborted();
  if (status === undefined) {
    if (limit.aborted) throw new ExecError('the command did not end in time');
    throw new ExecError(broken ? messageOf(broken) : 'the connection ended before the command did', broken);
  }
  const code = exitCodeOf(status);
  if (code === undefined) throw new ExecError(status.message ?? 'the command could not be started');
  return { code, stdout: Buffer.concat(kept).toString('utf8'), stderr: Buffer.concat(errors).toString('utf8') };
}

async function send(socket: WebSocket, input: Readable): Promise<void> {
  const write = (data: Buffer) =>
    new Promise<void>((resolve, reject) => socket.send(data, (error) => (error ? reject(error) : resolve())));
  for await (const chunk of input)
    await write(Buffer.concat([Buffer.from([channel.stdin]), Buffer.from(chunk as Buffer | string)]));
  await write(Buffer.from([channel.close, channel.stdin]));
}

/** @returns undefined when the status is not that of a command that ran */
function exitCodeOf(status: KubeStatus): number | undefined {
  if (status.status === 'Success') return 0;
  if (status.reason !== 'NonZeroExitCode') return undefined;
  return Number(status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? 1);
}
