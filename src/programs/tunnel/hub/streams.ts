import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Connection } from '../../connect-proxy/connection.ts';
import { Refusal } from '../../connect-proxy/refusal.ts';

/** From CONNECT to the agent's answer; and for the kubelet's handshake. */
export const openMilliseconds = 4000;

/**
 * A connection to the kubelet at the other end.
 *
 * @throws Refusal
 */
export function openStream(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    if (session.destroyed || session.closed) return reject(new Refusal('refused', 'the tunnel has just ended'));
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'kubelet' }, { endStream: false });
    const refuse = (why: string) => {
      clearTimeout(limit);
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new Refusal('refused', `no connection through the tunnel: ${why}`));
    };
    const limit = setTimeout(() => refuse('the agent does not answer'), openMilliseconds);
    stream.on('error', (error) => refuse(error.message));
    stream.once('close', () => refuse('it has ended'));
    stream.once('response', ({ ':status': status }) => {
      if (status !== 200) return refuse(`the kubelet does not take it (${status})`);
      clearTimeout(limit);
      resolve(stream);
    });
  });
}

export function carriedBy(stream: ClientHttp2Stream): Connection {
  return {
    close: () => stream.close(constants.NGHTTP2_CANCEL),
    carry: (client) => joinStreams(stream, client),
  };
}

/** Bytes both ways; a stream that broke off breaks the other side off as well. */
function joinStreams(stream: ClientHttp2Stream, client: Duplex): void {
  client.on('error', () => client.destroy());
  stream.once('close', () => {
    if (!stream.readableEnded || stream.rstCode !== constants.NGHTTP2_NO_ERROR) client.destroy();
  });
  client.once('close', () => stream.destroyed || stream.close(constants.NGHTTP2_CANCEL));
  client.pipe(stream).pipe(client);
}
