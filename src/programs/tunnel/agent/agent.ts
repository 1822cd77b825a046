import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type HubWords, hubPath, sessionOptions, tunnelProtocol, watchOver } from '../session.ts';

/** From the first packet to the hub's own words. */
const dialMilliseconds = 4000;
const kubeletMilliseconds = 3000;
/** Pauses between two attempts: they double, up to here without any hub, and while others are still missing. */
const firstPause = 50;
const longestAlone = 2000;
const longestBeside = 10_000;

export interface AgentOptions {
  /** Where hubs are reached, by the name that their certificate has. */
  host: string;
  port: number;
  /** Another name to dial; for tests. */
  dial?: string;
  /** The CAs of the plane, and the kubelet's client certificate with its key, as PEM: read for each attempt. */
  trusted(): string;
  credential(): string;
  kubelet: { host: string; port: number };
  say(words: string): void;
}

interface Link extends HubWords {
  session: ServerHttp2Session;
}

/** Keeps a tunnel open to every hub of the plane until `signal` fires. One name leads to all of them, each time to one. */
export async function keepTunnels(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const links = new Map<string, Link>();
  let pause = firstPause;
  let hurry = new AbortController();
  const lookAtOnce = () => {
    pause = firstPause;
    hurry.abort();
  };
  signal.addEventListener('abort', () => hurry.abort());
  const heard = (link: Link) => {
    const known = links.get(link.hub);
    if (known && known.session !== link.session) {
      if (known.start === link.start) return void link.session.destroy();
      known.session.destroy();
    }
    const isNew = known?.session !== link.session;
    const isNews = isNew || known?.hubs.join() !== link.hubs.join();
    links.set(link.hub, link);
    if (isNew) {
      options.say(`there is a tunnel to ${link.hub}`);
      link.session.once('close', () => {
        if (links.get(link.hub)?.session !== link.session) return;
        links.delete(link.hub);
        options.say(`the tunnel to ${link.hub} has ended`);
        lookAtOnce();
      });
    }
    if (isNews) lookAtOnce();
  };
  while (!signal.aborted) {
    const missing = [...links.values()].flatMap(({ hubs }) => hubs).filter((hub) => !links.has(hub));
    if (links.size === 0 || missing.length > 0)
      await dialOnce(options, heard).catch((error: Error) => options.say(`no tunnel: ${error.message}`));
    hurry = new AbortController();
    if (signal.aborted) break;
    const isDone = links.size > 0 && [...links.values()].every(({ hubs }) => hubs.every((hub) => links.has(hub)));
    // A little apart from the other workers, which have lost the same hub.
    const wait = isDone ? longestBeside : pause * (0.75 + Math.random() / 2);
    await sleep(wait, undefined, { signal: hurry.signal }).catch(() => undefined);
    pause = Math.min(2 * pause, links.size === 0 ? longestAlone : longestBeside);
  }
  for (const { session } of links.values()) session.destroy();
}

/** One attempt. Resolves when a hub has said who it is. */
async function dialOnce(options: AgentOptions, heard: (link: Link) => void): Promise<void> {
  const socket = await handshake(options);
  const session = performServerHandshake(socket, sessionOptions) as ServerHttp2Session;
  session.on('error', () => undefined);
  watchOver(session);
  await new Promise<void>((resolve, reject) => {
    const end = (error?: Error) => {
      clearTimeout(limit);
      if (!error) return resolve();
      session.destroy();
      reject(error);
    };
    const limit = setTimeout(() => end(new Error('what answers does not say which hub it is')), dialMilliseconds);
    session.once('close', () => end(new Error('the hub has closed it')));
    session.on('stream', async (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':method'] === 'CONNECT') return openKubelet(stream, options);
      try {
        if (headers[':path'] !== hubPath) return answer(stream, 404);
        const words = JSON.parse(await text(stream)) as HubWords;
        answer(stream, 204);
        heard({ ...words, session });
        end();
      } catch (error) {
        end(error as Error);
      }
    });
  });
}

function handshake({ host, port, dial = host, trusted, credential }: AgentOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const pem = credential();
    const socket = connectTls({
      host: dial,
      port,
      servername: host,
      ca: trusted(),
      cert: pem,
      key: pem,
      ALPNProtocols: [tunnelProtocol],
      minVersion: 'TLSv1.2',
      timeout: dialMilliseconds,
    });
    socket.once('timeout', () => socket.destroy(new Error(`no answer from ${host}:${port}`)));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== tunnelProtocol) {
        socket.destroy();
        return reject(new Error(`what answers at ${host}:${port} is no hub`));
      }
      socket.setTimeout(0);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** The hub may break off a stream at any time: it is closed then, and destroyed only later, and to answer it throws at once. */
const hasEnded = (stream: ServerHttp2Stream) => stream.closed || stream.destroyed;

function answer(stream: ServerHttp2Stream, status: number): void {
  if (!hasEnded(stream)) stream.respond({ ':status': status }, { endStream: true });
}

/** One connection to this worker's own kubelet; whatever the hub names, nothing else is dialled. */
function openKubelet(stream: ServerHttp2Stream, { kubelet, say }: AgentOptions): void {
  const socket = connect({ ...kubelet, allowHalfOpen: true, noDelay: true, timeout: kubeletMilliseconds });
  socket.once('timeout', () => socket.destroy(new Error('no answer')));
  socket.on('error', ({ message }) => {
    if (stream.headersSent || hasEnded(stream)) return;
    say(`the kubelet at ${kubelet.host}:${kubelet.port}: ${message}`);
    answer(stream, 502);
  });
  socket.once('connect', () => {
    socket.setTimeout(0);
    if (hasEnded(stream)) return socket.destroy();
    stream.respond({ ':status': 200 });
    stream.pipe(socket).pipe(stream);
    socket.once('close', (hadError) => {
      if (hadError && !stream.destroyed) stream.close(constants.NGHTTP2_CONNECT_ERROR);
    });
  });
  stream.once('close', () => {
    // What is on its way to the kubelet may still arrive, unless the other end broke it off.
    if (stream.rstCode === constants.NGHTTP2_NO_ERROR) socket.destroySoon();
    else socket.destroy();
  });
}
