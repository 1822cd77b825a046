import http from 'node:http';
import type { Readable } from 'node:stream';
import { boundedText } from '../base/bounded-text.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { linesOf } from '../base/lines.ts';
import { command, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Secret } from '../kube/objects.ts';
import { logStoreName, logStorePorts, logStoreUser, passwordIn } from '../plane/beside/log-store/log-store.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { isReady, podsOf } from './pods.ts';

/** What the follower tells of itself. */
export interface FollowerReport {
  /** Lines that the store has taken since it began. */
  lines: number;
  /** How often lines may have been lost. */
  losses: number;
  /** The last of these. */
  lately: { at: string; what: string }[];
  /** Why nothing is taken over now; absent while all is well. */
  trouble?: string;
  /** Its volume has no room for more. */
  full?: boolean;
}

/** Milliseconds to the beginning of an answer: a query may take 30 s (VictoriaLogs' -search.maxQueryDuration). */
const longestSilence = 60_000;

/** Bytes of what it says of itself: what stands in its place may say more. */
const longestWords = 1 << 20;

/** A line of the store, by its fields. */
export type StoredLine = Record<string, string>;

/** What keeps a plane's logs, reached by port-forward to its pod: the rights of the namespace let in. */
export class LogStore {
  readonly #cluster: InfraCluster;
  readonly pod: string;
  readonly password: string;

  private constructor(cluster: InfraCluster, pod: string, password: string) {
    this.#cluster = cluster;
    this.pod = pod;
    this.password = password;
  }

  /** @throws UserError `no-logs` where the plane keeps none, `log-store-unreachable` */
  static async of(cluster: InfraCluster, record: PlaneRecord): Promise<LogStore> {
    const { namespace } = cluster;
    if (!record.spec.logs)
      throw new UserError({
        what: `the plane in namespace "${namespace}" keeps no logs`,
        fix: words`keep them from now on: ${command('logs enable', namespace)}; what its pods still have is told by ${command('logs', namespace)}`,
        anchor: 'no-logs',
        kind: 'refused',
      });
    const [pods, secret] = await Promise.all([
      podsOf(cluster, record.planeId, logStoreName),
      cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, logStoreName),
    ]);
    const pod = pods.find(isReady) ?? pods.find(({ metadata }) => !metadata.deletionTimestamp);
    const password = passwordIn(secret);
    if (pod && password !== undefined) return new LogStore(cluster, pod.metadata.name, password);
    throw unreachable(namespace, pod ? `secret "${logStoreName}" is not there` : 'it has no pod', record.asleep?.since);
  }

  /**
   * What a query in LogsQL finds, line by line.
   *
   * @param start of the time that is searched, whatever the query says itself
   * @throws UserError `log-store-unreachable`, `bad-values` for the query itself
   */
  async *query(
    query: string,
    { limit, start }: { limit: number; start?: Date },
    signal?: AbortSignal,
  ): AsyncGenerator<StoredLine> {
    const of = { query, limit: String(limit), ...(start && { start: start.toISOString() }) };
    const body = new URLSearchParams(of).toString();
    const answer = await this.#ask(logStorePorts.store, '/select/logsql/query', body, signal);
    if (answer.statusCode === 400 || answer.statusCode === 422)
      throw new UserError({
        what: 'the log store does not understand the query',
        why: (await boundedText(answer, longestWords)).trim(),
        fix: 'correct it: https://docs.victoriametrics.com/victorialogs/logsql/',
        anchor: 'bad-values',
        kind: 'usage',
      });
    if (answer.statusCode !== 200) throw unreachable(this.#cluster.namespace, `it answers ${answer.statusCode}`);
    try {
      for await (const line of linesOf(answer)) if (line !== '') yield JSON.parse(line) as StoredLine;
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(this.#cluster.namespace, `its answer broke off: ${messageOf(error)}`);
    }
  }

  /** @throws UserError `log-store-unreachable` */
  async report(signal?: AbortSignal): Promise<FollowerReport> {
    return JSON.parse(
      await boundedText(await this.#ask(logStorePorts.status, '/', undefined, signal), longestWords),
    ) as FollowerReport;
  }

  async #ask(
    port: number,
    path: string,
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Readable & { statusCode?: number }> {
    try {
      const socket = await this.#cluster.forward(this.pod, port, signal);
      const authorization = `Basic ${Buffer.from(`${logStoreUser}:${this.password}`).toString('base64')}`;
      return await new Promise((resolve, reject) => {
        const request = http.request({
          createConnection: () => socket as never,
          method: body === undefined ? 'GET' : 'POST',
          path,
          host: 'log-store',
          signal,
          headers: {
            Authorization: authorization,
            ...(body !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
          },
        });
        const limit = setTimeout(
          () => request.destroy(new Error(`nothing came from it for ${longestSilence / 1000} s`)),
          longestSilence,
        );
        request.once('close', () => clearTimeout(limit));
        request.once('error', reject);
        request.once('response', (response) => {
          clearTimeout(limit);
          resolve(response);
        });
        request.end(body);
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(this.#cluster.namespace, messageOf(error));
    }
  }
}

function unreachable(namespace: string, why: string, asleep?: string): UserError {
  return new UserError({
    what: `what keeps the logs of the plane in namespace "${namespace}" does not answer`,
    why: asleep === undefined ? why : `the plane has slept since ${asleep}`,
    fix:
      asleep === undefined
        ? words`${command('status', namespace)} says how it is`
        : words`wake it first: ${command('wake', namespace)}`,
    anchor: 'log-store-unreachable',
  });
}
