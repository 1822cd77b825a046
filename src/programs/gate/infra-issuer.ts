import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { discoveryPath, infraIssuerHost, infraKeysUrl, keysPath } from '../../base/infra-issuer.ts';
import type { Connection } from '../connect-proxy/connection.ts';
import { fetchText } from './fetch-text.ts';

const answerMilliseconds = 5000;

/**
 * The infra cluster's issuer of service account tokens, as the API server can read it: the infra cluster asks for a login, and the API
 * server has none. The two documents are fetched when they are asked for, so keys that are rolled over are found at once.
 *
 * @param folder with `token` and `ca.crt` of a ServiceAccount, as a projected volume has them, read for each request
 * @param credentials folder with infra-issuer.crt and infra-issuer.key, read again for each connection
 */
export function infraIssuer(folder: string, credentials: string, say: (words: string) => void): () => Connection {
  const server = createServer(
    { maxHeaderSize: 4096, headersTimeout: 5000, requestTimeout: 5000 },
    (request, response) => {
      const path = request.url ?? '';
      if (request.method !== 'GET' || (path !== discoveryPath && path !== keysPath))
        return void answer(response, 404, '');
      Promise.resolve()
        .then(() => fetchFromInfra(folder, path))
        .then((words) => answer(response, 200, path === discoveryPath ? withKeysHere(words) : words))
        .catch((error: Error) => {
          say(`the infra cluster's ${path}: ${error.message}`);
          answer(response, 502, '');
        });
    },
  );
  const file = (name: string) => readFileSync(`${credentials}/infra-issuer.${name}`);
  return () => ({
    carry(client) {
      const secureContext = createSecureContext({ cert: file('crt'), key: file('key'), minVersion: 'TLSv1.2' });
      const socket = new TLSSocket(client as ConstructorParameters<typeof TLSSocket>[0], {
        isServer: true,
        secureContext,
      });
      socket.on('error', () => socket.destroy());
      server.emit('connection', socket);
    },
    close: () => undefined,
  });
}

/** Whether a CONNECT asks for it. Pure. */
export function isInfraIssuer(host: string, port: number): boolean {
  return host === infraIssuerHost && port === 443;
}

function answer(response: ServerResponse, status: number, body: string): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
    .end(body);
}

/** Its own URL of the keys may lead to where the API server has no login, or no way. */
function withKeysHere(words: string): string {
  return JSON.stringify({ ...(JSON.parse(words) as object), jwks_uri: infraKeysUrl });
}

/** Where its API is, a pod finds in its environment. */
function fetchFromInfra(folder: string, path: string): Promise<string> {
  const file = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port } = process.env;
  return fetchText(`https://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`, answerMilliseconds, {
    ca: file('ca.crt'),
    headers: { Authorization: `Bearer ${file('token').trim()}` },
  });
}
