import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { linesOf } from '../../base/lines.ts';

/** The API server of the cluster that this pod runs in, by node:https alone: a client library would be all the memory. */
export interface Api {
  /** @throws Error with the server's words when the answer is no success, or when there is none */
  call(method: 'GET' | 'PUT', path: string, body?: object): Promise<unknown>;
  /**
   * Follows a watch until the server ends it.
   *
   * @throws Error when it is refused or too old, or when the connection breaks or falls silent
   */
  follow(path: string, onEvent: (event: WatchEvent) => void): Promise<void>;
}

export interface WatchEvent {
  type: string;
  object: unknown;
}

const answerMilliseconds = 15_000;
/** With bookmarks the API server says something every minute: a connection without a word is dead, though nobody closed it. */
const silentMilliseconds = 100_000;

/**
 * @param folder of the service account: `token` and `ca.crt`
 * @param host name or address, as in KUBERNETES_SERVICE_HOST
 * @throws Error when the CA cannot be read
 */
export function connectApi(folder: string, host: string, port: string): Api {
  const agent = new https.Agent({ keepAlive: true, ca: readFileSync(`${folder}/ca.crt`) });

  /** Resolves with the head of the answer. `silence`: milliseconds without a byte after which the connection is given up. */
  function send(method: string, path: string, silence: number, body?: object): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = {
        // Read each time: the kubelet renews the token.
        Authorization: `Bearer ${readFileSync(`${folder}/token`, 'utf8').trim()}`,
        Accept: 'application/json',
        'User-Agent': 'k8sk8s-kubelet-serving-approver',
        ...(body && { 'Content-Type': 'application/json' }),
      };
      const request = https.request(
        { agent, host, port, method, path, headers, timeout: silence },
        async (response) => {
          if ((response.statusCode ?? 500) < 300) return resolve(response);
          const words = await text(response).catch(String);
          reject(new Error(`${method} ${path.split('?')[0]}: ${response.statusCode} ${words.slice(0, 200)}`));
        },
      );
      request.once('timeout', () => request.destroy(new Error(`no word from ${host}:${port} in time`)));
      request.once('error', reject);
      request.end(body && JSON.stringify(body));
    });
  }

  return {
    call: async (method, path, body) => JSON.parse(await text(await send(method, path, answerMilliseconds, body))),
    follow: async (path, onEvent) => {
      const response = await send('GET', path, silentMilliseconds);
      const broken = new Promise<never>((_, reject) => response.once('error', reject));
      const read = async () => {
        for await (const line of linesOf(response)) {
          const event = JSON.parse(line) as WatchEvent;
          if (event.type === 'ERROR') throw new Error('the watch is too old');
          onEvent(event);
        }
      };
      try {
        await Promise.race([read(), broken]);
      } finally {
        response.destroy();
      }
    },
  };
}
