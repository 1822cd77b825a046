import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Credential } from '../../src/pki/issue.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { quietReporter } from '../../src/ui/quiet.ts';

/** One call of a writer, as checker/main.go reads it. */
export interface Operation {
  client: number;
  key: string;
  kind: 'put' | 'get' | 'delete';
  /** The value that was put or read, empty for an object that is not there. No value is put twice. */
  value: string;
  /** Whether the object existed before the call, by the answer. */
  found: boolean;
  /** Microseconds of one clock; `return` is 0 when nobody knows whether the server acted on the call. */
  call: number;
  return: number;
}

/** Lists of keys. `broken` has all keys whose history has no order, with every lost, stale and resurrected key among them. */
export interface Verdict {
  operations: number;
  unanswered: number;
  keys: number;
  lost: string[];
  stale: string[];
  resurrected: string[];
  broken: string[];
  undecided: string[];
}

export interface Endpoint {
  /** Address of the plane's API servers; each connection reaches one of them. */
  host: string;
  port: number;
  servername: string;
  ca: string;
  client: Credential;
  /** Namespace of the hosted cluster in which the writers work. */
  namespace: string;
}

/** Calls on a set of shared keys before the next set follows, because short histories are judged quickly. */
const callsForKeys = 300;
const sharedKeys = 3;
/** A call without an answer may take effect at any later time. A key with many of them cannot be judged. */
const unansweredForKeys = 12;

/**
 * Clients that write, read and delete ConfigMaps. Each records every call with its times and repeats none: a call without an
 * answer stays open. All clients share a few keys at a time, and each client also creates its own keys, once.
 */
export class Writers {
  readonly #endpoint: Endpoint;
  readonly #history: Operation[] = [];
  /** Answered calls by the address of the API server that answered. */
  readonly servers = new Map<string, number>();
  acknowledged = 0;
  /** Longest time in milliseconds between two acknowledged writes, since it was last set to 0. */
  longestGap = 0;
  #lastWrite = performance.now();
  #epoch = 0;
  #inEpoch = 0;
  #unansweredInEpoch = 0;
  #running: Promise<void>[] = [];
  #stopped = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  start(clients: number): void {
    this.#lastWrite = performance.now();
    this.#running = Array.from({ length: clients }, (_, client) => this.#work(client));
  }

  /** Begins new shared keys, so that the open calls of one fault are not in the history of the next. */
  nextEpoch(): void {
    this.#epoch++;
    this.#inEpoch = 0;
    this.#unansweredInEpoch = 0;
  }

  /** Milliseconds since a write was acknowledged. */
  get silence(): number {
    return performance.now() - this.#lastWrite;
  }

  /** Ends the writers, reads every key once more, and returns all recorded calls. */
  async stop(): Promise<Operation[]> {
    this.#stopped = true;
    await Promise.all(this.#running);
    const keys = [...new Set(this.#history.map(({ key }) => key))];
    await Promise.all(Array.from({ length: 8 }, (_, reader) => this.#readAll(1000 + reader, keys)));
    return this.#history;
  }

  async #readAll(client: number, keys: string[]): Promise<void> {
    const agent = newAgent(this.#endpoint);
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      let read: Operation | undefined;
      for (let attempt = 0; attempt < 20 && !read?.return; attempt++)
        read = await this.#call(agent, client, key, 'get', '', undefined);
      if (!read?.return) throw new Error(`${key} cannot be read at the end`);
    }
    agent.destroy();
  }

  async #work(client: number): Promise<void> {
    for (let count = 0; !this.#stopped; ) {
      // A new connection may reach another API server.
      const agent = newAgent(this.#endpoint);
      const server = await serverBehind(this.#endpoint, agent);
      for (let call = 0; call < 20 && !this.#stopped; call++, count++) {
        if (++this.#inEpoch > callsForKeys) this.nextEpoch();
        const shared = `shared-${this.#epoch}-${count % sharedKeys}`;
        const dice = (count * 7 + client * 3) % 10;
        const value = `${client}-${count}`;
        if (dice < 4) await this.#call(agent, client, shared, 'put', value, server);
        else if (dice < 5) await this.#call(agent, client, shared, 'delete', '', server);
        else if (dice < 9) await this.#call(agent, client, shared, 'get', '', server);
        else await this.#call(agent, client, `own-${client}-${count}`, 'put', value, server);
        // Enough calls for a dense history, and little enough load for the plane on the same box.
        await sleep(30);
      }
      agent.destroy();
    }
  }

  /** @returns undefined for a call on which the server surely did not act */
  async #call(
    agent: https.Agent,
    client: number,
    key: string,
    kind: Operation['kind'],
    value: string,
    server: string | undefined,
  ): Promise<Operation | undefined> {
    const operation: Operation = { client, key, kind, value, found: false, call: now(), return: 0 };
    const at = `/api/v1/namespaces/${this.#endpoint.namespace}/configmaps/${key}`;
    const answer = await {
      put: () => send(this.#endpoint, agent, 'PATCH', `${at}?fieldManager=writer&force=true`, configMap(key, value)),
      get: () => send(this.#endpoint, agent, 'GET', at),
      delete: () => send(this.#endpoint, agent, 'DELETE', at),
    }
      [kind]()
      .catch((error: Error) => error);
    if (answer instanceof Error) {
      // Many calls that are refused at once would only fill the history.
      await sleep(100);
      if (neverSent(answer)) return undefined;
    } else if (answer.status < 500) {
      const absent = kind !== 'put' && isAbsent(answer, key);
      if (answer.status >= 300 && !absent) return undefined;
      operation.return = now();
      operation.found = !absent && answer.status !== 201;
      if (kind === 'get' && !absent)
        operation.value = (JSON.parse(answer.body) as { data?: { value?: string } }).data?.value ?? '';
      if (kind === 'put') this.#acknowledge();
      if (server) this.servers.set(server, (this.servers.get(server) ?? 0) + 1);
    } else await sleep(100);
    this.#history.push(operation);
    if (operation.return === 0 && ++this.#unansweredInEpoch >= unansweredForKeys) this.nextEpoch();
    return operation;
  }

  #acknowledge(): void {
    this.acknowledged++;
    this.longestGap = Math.max(this.longestGap, this.silence);
    this.#lastWrite = performance.now();
  }
}

function newAgent({ ca, client, servername }: Endpoint): https.Agent {
  return new https.Agent({
    keepAlive: true,
    maxSockets: 1,
    ca,
    cert: client.certificate,
    key: client.key,
    servername,
  });
}

/** Which API server a connection has reached: each one tells the address at which clients reach it. */
async function serverBehind(endpoint: Endpoint, agent: https.Agent): Promise<string | undefined> {
  const answer = await send(endpoint, agent, 'GET', '/api').catch(() => undefined);
  if (answer?.status !== 200) return undefined;
  const { serverAddressByClientCIDRs } = JSON.parse(answer.body) as {
    serverAddressByClientCIDRs?: { serverAddress: string }[];
  };
  return serverAddressByClientCIDRs?.[0]?.serverAddress;
}

function send(
  { host, port }: Endpoint,
  agent: https.Agent,
  method: string,
  path: string,
  body = '',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        agent,
        host,
        port,
        method,
        path,
        headers: {
          'Content-Type': method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json',
          'Content-Length': Buffer.byteLength(body),
        },
        signal: AbortSignal.timeout(5000),
      },
      (response) =>
        text(response).then((content) => resolve({ status: response.statusCode ?? 500, body: content }), reject),
    );
    request.once('error', reject);
    request.end(body);
  });
}

const configMap = (name: string, value: string) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } });

/** There was no connection, so no server has seen the call. */
function neverSent(error: Error & { syscall?: string }): boolean {
  return error.syscall === 'connect' || /before secure TLS connection was established/.test(error.message);
}

/** Whether the answer's Status says that the object does not exist, as opposed to the path. */
function isAbsent({ status, body }: { status: number; body: string }, name: string): boolean {
  return status === 404 && (JSON.parse(body) as { details?: { name?: string } }).details?.name === name;
}

function now(): number {
  return Math.round(performance.now() * 1000);
}

/** Judges a history with porcupine (https://github.com/anishathalye/porcupine), which is built into the cache once. */
export async function judge(history: Operation[]): Promise<Verdict> {
  const programs = await ensureBinaries(
    ['history-checker'],
    { sources: { 'history-checker': readFileSync('test/faults/checker/main.go', 'utf8') } },
    quietReporter,
  );
  const child = spawn(programs['history-checker'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}).end(history.map((operation) => `${JSON.stringify(operation)}\n`).join(''));
  const [out, said] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (out === '') throw new Error(`the checker of histories gave no verdict: ${said}`);
  return JSON.parse(out) as Verdict;
}
