import http from 'node:http';
import { text } from 'node:stream/consumers';

/** The store answered, and takes no lines now: it is full, or reads only. */
export class StoreRefuses extends Error {}
/** The store does not take these lines, now or later. */
export class LinesRefused extends Error {}

const timeout = 30_000;

/** VictoriaLogs in the same pod. */
export class Store {
  readonly #port: number;
  readonly #authorization: () => string;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

  /** @param password as it is now: the store reads the file of it again and again, and a Secret that was deleted is made anew */
  constructor(port: number, { user, password }: { user: string; password: () => string }) {
    this.#port = port;
    this.#authorization = () => `Basic ${Buffer.from(`${user}:${password()}`).toString('base64')}`;
  }

  async answers(): Promise<boolean> {
    return this.#call('GET', '/health').then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** @param lines JSON, one object a line. @throws LinesRefused, StoreRefuses, and what the connection throws where there is no answer */
  async insert(lines: string): Promise<void> {
    const { status, words } = await this.#call(
      'POST',
      '/insert/jsonline?_stream_fields=component,container,pod',
      lines,
      'application/stream+json',
    );
    if (status === 200) return;
    throw status === 400 ? new LinesRefused(words) : new StoreRefuses(`${status} ${words.trim().slice(0, 300)}`);
  }

  /** @param query in LogsQL. @returns what the store answers, one object a line of it */
  async query(query: string): Promise<Record<string, string>[]> {
    const body = new URLSearchParams({ query }).toString();
    const { status, words } = await this.#call(
      'POST',
      '/select/logsql/query',
      body,
      'application/x-www-form-urlencoded',
    );
    if (status !== 200) throw new StoreRefuses(`${status} ${words.trim().slice(0, 300)}`);
    return words
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, string>);
  }

  #call(method: string, path: string, body?: string, type?: string): Promise<{ status: number; words: string }> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          host: '127.0.0.1',
          port: this.#port,
          agent: this.#agent,
          method,
          path,
          signal: AbortSignal.timeout(timeout),
          headers: { Authorization: this.#authorization(), ...(type && { 'Content-Type': type }) },
        },
        (response) => {
          text(response).then((words) => resolve({ status: response.statusCode ?? 0, words }), reject);
        },
      );
      request.once('error', reject);
      request.end(body);
    });
  }
}
