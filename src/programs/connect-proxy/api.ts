import { readFileSync } from 'node:fs';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import WebSocket from 'ws';
import { Refusal } from './refusal.ts';

/** The API server beside which this runs, by node:https and ws alone: a client library would be all the memory. */
export interface Api {
  /** @throws Refusal when the answer is no success, or when there is none in time */
  get(path: string, accept?: string): Promise<unknown>;
  /** @returns undefined where nothing is at `path`. @throws Refusal as get does */
  find(path: string): Promise<unknown>;
  /** Creates an object in a collection, or replaces one. @throws Refusal as get does; a conflict is no success */
  write(method: 'POST' | 'PUT', path: string, object: object): Promise<void>;
  /**
   * A connection to one port of a pod, by the API's port-forward.
   *
   * @returns an open WebSocket, paused, that speaks portForwardProtocol
   * @throws Refusal when it is not opened, or not in time
   */
  portForward(pod: { namespace: string; name: string }, port: number): Promise<WebSocket>;
}

/** Of one port: channel 0 carries data, channel 1 an error; each begins with the port's number. */
const portForwardProtocol = 'v4.channel.k8s.io';

const answerMilliseconds = 5000;
/** Of a frame; the other side's have 32 KiB. */
const largestFrame = 1 << 20;

/**
 * @param server `https://127.0.0.1:PORT`
 * @param folder with `ca.crt`, `egress.crt` and `egress.key`, which are read again when they are renewed
 */
export function connectApi(server: string, folder: string): Api {
  const file = (name: string) => readFileSync(`${folder}/${name}`);
  let certificate: Buffer | undefined;
  let lookUps: https.Agent;
  let forwards: https.Agent;
  const renew = () => {
    const cert = file('egress.crt');
    if (certificate?.equals(cert)) return;
    const credentials = { ca: file('ca.crt'), cert, key: file('egress.key') };
    lookUps = new https.Agent({ ...credentials, keepAlive: true, maxSockets: 4 });
    forwards = new https.Agent(credentials);
    certificate = cert;
  };
  renew();

  const call = (
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; words: string }> => {
    renew();
    return new Promise((resolve, reject) => {
      const request = https.request(
        `${server}${path}`,
        {
          method,
          agent: lookUps,
          signal: AbortSignal.timeout(answerMilliseconds),
          headers: { 'User-Agent': 'k8sk8s-gate', ...headers },
        },
        async (response) => {
          resolve({ status: response.statusCode ?? 0, words: await text(response).catch(String) });
        },
      );
      request.once('error', (error) =>
        reject(new Refusal('refused', `the API server does not answer: ${error.message}`)),
      );
      request.end(body);
    });
  };
  const refusalOf = ({ status, words }: { status: number; words: string }) =>
    new Refusal('refused', `the API server answers ${status}: ${reasonOf(words)}`);

  return {
    async get(path, accept = 'application/json') {
      const answer = await call('GET', path, { Accept: accept });
      if (answer.status !== 200) throw refusalOf(answer);
      return JSON.parse(answer.words);
    },
    async find(path) {
      const answer = await call('GET', path, { Accept: 'application/json' });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refusalOf(answer);
      return JSON.parse(answer.words);
    },
    async write(method, path, object) {
      const answer = await call(method, path, { 'Content-Type': 'application/json' }, JSON.stringify(object));
      if (answer.status !== 200 && answer.status !== 201) throw refusalOf(answer);
    },
    portForward(pod, port) {
      renew();
      return openPortForward(server, forwards, pod, port);
    },
  };
}

function openPortForward(
  server: string,
  agent: https.Agent,
  { namespace, name }: { namespace: string; name: string },
  port: number,
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(
      `${server.replace(/^https/, 'wss')}/api/v1/namespaces/${namespace}/pods/${name}/portforward?ports=${port}`,
      portForwardProtocol,
      {
        agent,
        handshakeTimeout: answerMilliseconds,
        perMessageDeflate: false,
        maxPayload: largestFrame,
        headers: { 'User-Agent': 'k8sk8s-gate' },
      },
    );
    socket.once('open', () => {
      socket.pause();
      resolve(socket);
    });
    socket.once('unexpected-response', async (_request, response) => {
      const words = await text(response).catch(String);
      const kind = response.statusCode === 404 ? 'gone' : 'refused';
      reject(new Refusal(kind, `port-forward to ${namespace}/${name}: ${response.statusCode} ${reasonOf(words)}`));
    });
    socket.once('error', (error) =>
      reject(new Refusal('refused', `port-forward to ${namespace}/${name}: ${error.message}`)),
    );
  });
}

/** The words of a metav1.Status, or the answer as it is. */
function reasonOf(answer: string): string {
  try {
    return (JSON.parse(answer) as { message?: string }).message ?? answer.slice(0, 200);
  } catch {
    return answer.slice(0, 200);
  }
}
