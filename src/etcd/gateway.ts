import http from 'node:http';
import type { Readable } from 'node:stream';
import tls from 'node:tls';
import { boundedText } from '../base/bounded-text.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { again, command, option, words } from '../base/words.ts';
import { abortable } from '../kube/abortable.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { trusted } from '../pki/authority.ts';
import type { PkiBundle } from '../pki/certificates.ts';

/** The status of a member. */
export interface MemberStatus {
  /** Version of etcd, `3.7.3`. */
  version: string;
  /** Revision of the key-value store. */
  revision: number;
  /** Size of the database's file, in bytes. */
  dbSize: number;
  /** Alarms of the whole cluster: `NOSPACE` (writes are refused), `CORRUPT`. */
  alarms: string[];
}

export interface Snapshot {
  /** Size of the whole snapshot in bytes, with its hash; known when the first bytes have come. */
  size: number;
  chunks: AsyncGenerator<Buffer>;
}

export interface KeyValue {
  key: string;
  value: string;
}

/** A client's credentials for etcd, in PEM. */
export interface EtcdClient {
  ca: string;
  cert: string;
  key: string;
}

/** The limit of operations in one transaction of etcd (its `--max-txn-ops`). */
const longestTransaction = 128;
/** Length of the SHA-256 that etcd appends to the database. */
const digestLength = 32;
/** Milliseconds without a byte after which a connection is closed: the port of a member that is frozen accepts connections all the same. */
const longestSilence = 30_000;

/** Bytes of an answer, and of a line of a snapshot, of which etcd makes 32 KiB: what stands in the place of a member may send without an end. */
const longestAnswer = 16 << 20;

/** Opens a connection to the client port of a member. */
type Dial = (signal?: AbortSignal) => Promise<tls.TLSSocket>;

/**
 * etcd's own JSON gateway (https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/) of one member, with the API server's
 * client certificate. It needs nothing but etcd in etcd's image, and writes nothing in its pod.
 */
export class EtcdGateway {
  readonly #dial: Dial;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /**
   * Through a port-forward to the member's pod, which the rights of the namespace allow.
   *
   * @param silence milliseconds without a byte that it is given; for tests
   */
  static ofPod(cluster: InfraCluster, bundle: PkiBundle, pod: string, silence = longestSilence): EtcdGateway {
    return new EtcdGateway(async (signal) => {
      const socket = await cluster.forward(pod, 2379, signal);
      const options = { ...clientOptions(bundle), socket, servername: 'localhost' };
      return secured(tls.connect(options), silence, signal);
    });
  }

  /** Directly to a member's address, for programs that reach the infra cluster's services. */
  static at(host: string, client: EtcdClient): EtcdGateway {
    return new EtcdGateway((signal) => secured(tls.connect({ ...client, host, port: 2379 }), longestSilence, signal));
  }

  /** @throws UserError `etcd-unreachable` */
  async status(signal?: AbortSignal): Promise<MemberStatus> {
    const { version, header, dbSize, errors } = await this.#ask<{
      version: string;
      header: { revision?: string };
      dbSize?: string;
      errors?: string[];
    }>('/v3/maintenance/status', {}, signal);
    return {
      version,
      revision: Number(header.revision ?? 0),
      dbSize: Number(dbSize ?? 0),
      // `memberID:… alarm:NOSPACE `, once for each member that raised it, among other text.
      alarms: [...new Set((errors ?? []).flatMap((text) => /alarm:([A-Z]+)/.exec(text)?.[1] ?? []))],
    };
  }

  /**
   * Writes keys that do not exist yet, in transactions of the largest size. If one key of a transaction exists, that transaction
   * writes nothing.
   *
   * @returns whether all keys were written
   * @throws UserError `etcd-unreachable`
   */
  async create(pairs: KeyValue[], signal?: AbortSignal): Promise<boolean> {
    for (let from = 0; from < pairs.length; from += longestTransaction) {
      const some = pairs.slice(from, from + longestTransaction).map(({ key, value }) => ({
        key: Buffer.from(key).toString('base64'),
        value: Buffer.from(value).toString('base64'),
      }));
      const transaction = {
        compare: some.map(({ key }) => ({ key, target: 'VERSION', result: 'EQUAL', version: '0' })),
        success: some.map((put) => ({ requestPut: put })),
      };
      const { succeeded } = await this.#ask<{ succeeded?: boolean }>('/v3/kv/txn', transaction, signal);
      if (!succeeded) return false;
    }
    return true;
  }

  /**
   * The member's database followed by its SHA-256: the bytes that `etcdctl snapshot save` would write.
   *
   * @throws UserError `etcd-unreachable`, at the call or from the stream
   */
  async snapshot(signal?: AbortSignal): Promise<Snapshot> {
    const chunks = blobs(await this.#post('/v3/maintenance/snapshot', signal));
    const first = await chunks.next();
    if (first.done) throw unreachable(new Error('it sent an empty snapshot'));
    const { blob, remaining } = first.value;
    const size = blob.length + remaining + digestLength;
    return {
      size,
      chunks: (async function* () {
        let sent = blob.length;
        yield blob;
        for await (const next of chunks) {
          sent += next.blob.length;
          if (sent > size)
            throw unreachable(new Error(`it sends more of a snapshot than the ${size} bytes that it spoke of`));
          yield next.blob;
        }
        if (sent !== size) throw unreachable(new Error(`it sent ${sent} bytes of a snapshot of ${size}`));
      })(),
    };
  }

  async #ask<T>(path: string, request: object, signal: AbortSignal | undefined): Promise<T> {
    const answer = await this.#post(path, signal, request);
    try {
      return JSON.parse(await boundedText(answer, longestAnswer)) as T;
    } catch (error) {
      throw signal?.aborted ? error : unreachable(error);
    }
  }

  async #post(path: string, signal: AbortSignal | undefined, body: object = {}): Promise<Readable> {
    const failed = (error: unknown) => (signal?.aborted ? error : unreachable(error));
    const socket = await this.#dial(signal).catch((error) => Promise.reject(failed(error)));
    return new Promise((resolve, reject) => {
      const request = http.request({ createConnection: () => socket, method: 'POST', path, host: 'etcd', signal });
      request.once('error', (error) => reject(failed(error)));
      request.once('response', (response) => {
        if (response.statusCode === 200) return resolve(response);
        response.resume();
        reject(unreachable(new Error(`it answers ${response.statusCode} to ${path}`)));
      });
      request.end(JSON.stringify(body));
    });
  }
}

function clientOptions(bundle: PkiBundle): EtcdClient {
  const client = bundle.leaves['apiserver-etcd-client']!;
  return { ca: trusted(bundle.authorities['etcd-ca']!), cert: client.certificate, key: client.key };
}

/** The connection once its handshake is done; without that it is closed. From its first moment on it ends by itself after a silence. */
async function secured(
  socket: tls.TLSSocket,
  silence: number,
  signal: AbortSignal | undefined,
): Promise<tls.TLSSocket> {
  socket.setTimeout(silence, () => socket.destroy(new Error(`nothing came from it for ${silence / 1000} s`)));
  const open = new Promise<tls.TLSSocket>((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
  try {
    return await abortable(open, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** The gateway streams one JSON object a line: `{"result":{"remaining_bytes":"…","blob":"BASE64"}}`. */
async function* blobs(body: Readable): AsyncGenerator<{ blob: Buffer; remaining: number }> {
  try {
    for await (const line of linesOf(body)) {
      const { result, error } = JSON.parse(line) as {
        result?: { remaining_bytes?: string; blob?: string };
        error?: { message?: string };
      };
      if (!result) throw new Error(error?.message ?? 'it sent something that is not a snapshot');
      yield { blob: Buffer.from(result.blob ?? '', 'base64'), remaining: Number(result.remaining_bytes ?? 0) };
    }
  } catch (error) {
    throw unreachable(error);
  }
}

/** Node's readline loses the error of a stream that breaks off. */
async function* linesOf(body: Readable): AsyncGenerator<string> {
  let open: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...open, chunk.subarray(from, end)]).toString('latin1');
      open = [];
      length = 0;
      from = end + 1;
    }
    if (from < chunk.length) open.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > longestAnswer) throw new Error(`a line of it is longer than ${longestAnswer >> 20} MiB`);
  }
  if (open.length > 0) yield Buffer.concat(open).toString('latin1');
}

function unreachable(error: unknown): unknown {
  // Of a pod that is not there, 404.
  const refused = error instanceof Error && error.name === 'ApiError' && (error as { status?: number }).status !== 404;
  if (error instanceof UserError || refused) return error;
  return new UserError({
    what: 'etcd does not answer',
    why: messageOf(error) === 'aborted' ? 'the connection to it broke off' : messageOf(error),
    fix: words`${command('status')}, with the same ${option('namespace')}, names the problem; ${again} when it is solved`,
    anchor: 'etcd-unreachable',
    cause: error,
  });
}
