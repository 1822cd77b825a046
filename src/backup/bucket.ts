import { Agent } from 'node:https';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { messageOf, UserError } from '../base/errors.ts';
import { isUntrusted } from '../kube/errors.ts';
import { type BucketKeys, type BucketLocation, urlOf } from './location.ts';
import { backupSuffix, byTime } from './names.ts';
import type { BackupStore, StoredBackup } from './store.ts';

// The only importer of the S3 client: nobody else's start waits for it.

/** Of each request that carries a part; as many as two are held at once. S3 takes 10,000 parts, so 80 GiB will do. */
const partSize = 8 << 20;
/** A job is ended after an hour, so nobody is at work on what was begun before this, in milliseconds. */
const abandoned = 2 * 3600 * 1000;

/** The backups in a bucket, under its prefix. Every method throws UserError `backup-bucket`. */
export class Bucket implements BackupStore {
  readonly where: string;
  readonly #place: BucketLocation;
  readonly #client: S3Client;

  constructor(place: BucketLocation, keys: BucketKeys) {
    this.#place = place;
    this.where = urlOf(place);
    // It warns on every start on Node 20 that its versions of 2027 will not run there.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    this.#client = new S3Client({
      credentials: keys,
      region: place.region,
      requestHandler: {
        connectionTimeout: 10_000,
        socketTimeout: 60_000,
        // An agent, and not the options of one: for large parts the client makes others, without these options.
        httpsAgent: new Agent({ keepAlive: true, ca: place.ca }),
      },
      expectContinueHeader: false,
      ...(place.endpoint !== undefined && {
        endpoint: place.endpoint,
        forcePathStyle: true,
        // Checksums that AWS added in 2025, and not every other server knows.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
      }),
    });
  }

  /** The oldest first. */
  async list(): Promise<StoredBackup[]> {
    const found: StoredBackup[] = [];
    let next: string | undefined;
    do {
      const page = await this.#ask(() =>
        this.#client.send(new ListObjectsV2Command({ ...this.#under(''), Delimiter: '/', ContinuationToken: next })),
      );
      for (const { Key = '', Size = 0 } of page.Contents ?? [])
        if (Key.endsWith(backupSuffix)) found.push({ name: Key.slice(this.#place.prefix.length), size: Size });
      next = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
    return found.sort((a, b) => byTime(a.name, b.name));
  }

  /** Streams `content` there. It is there when this has ended, whole, or not at all. */
  async put(name: string, content: Readable): Promise<void> {
    const params = { ...this.#at(name), Body: content, ContentType: 'application/octet-stream' };
    try {
      await this.#ask(() => new Upload({ client: this.#client, params, partSize, queueSize: 2 }).done());
    } finally {
      content.destroy();
    }
  }

  async content({ name }: StoredBackup): Promise<Readable> {
    const { Body } = await this.#ask(() => this.#client.send(new GetObjectCommand(this.#at(name))));
    return Readable.from(this.#explained(Body as Readable), { objectMode: false });
  }

  async remove(name: string): Promise<void> {
    await this.#ask(() => this.#client.send(new DeleteObjectCommand(this.#at(name))));
  }

  /**
   * Throws away parts of uploads that were begun long ago and never ended: nobody sees them, and they are paid for.
   *
   * @param start of their names
   * @returns how many uploads
   */
  async sweep(start: string): Promise<number> {
    const { Uploads = [] } = await this.#ask(() =>
      this.#client.send(new ListMultipartUploadsCommand(this.#under(start))),
    );
    const old = Uploads.filter(({ Initiated }) => Initiated && Date.now() - Initiated.getTime() > abandoned);
    for (const { Key, UploadId } of old)
      await this.#ask(() =>
        this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#place.bucket, Key, UploadId })),
      );
    return old.length;
  }

  close(): void {
    this.#client.destroy();
  }

  #at(name: string) {
    return { Bucket: this.#place.bucket, Key: `${this.#place.prefix}${name}` };
  }

  #under(start: string) {
    return { Bucket: this.#place.bucket, Prefix: `${this.#place.prefix}${start}` };
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw explainBucket(error, this.#place);
    }
  }

  async *#explained(body: Readable): AsyncGenerator<Buffer> {
    try {
      yield* body as AsyncIterable<Buffer>;
    } catch (error) {
      throw explainBucket(error, this.#place);
    }
  }
}

const rights = [
  's3:ListBucket',
  's3:ListBucketMultipartUploads',
  's3:PutObject',
  's3:AbortMultipartUpload',
  's3:GetObject',
  's3:DeleteObject',
].join(', ');

type Told = [why: string, fix: string];

/** By the `Code` of an S3 answer (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) or by Node's. */
const reasons: Record<string, (place: BucketLocation) => Told> = {
  NoSuchBucket: ({ bucket }) => [
    `there is no bucket "${bucket}"`,
    'make it, or correct its name; it is never made by k8sk8s',
  ],
  NoSuchKey: () => ['there is no object of that name', 'look at what is there: k8sk8s backup list'],
  InvalidAccessKeyId: () => ['the server does not know AWS_ACCESS_KEY_ID', 'correct it'],
  SignatureDoesNotMatch: () => ['AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID', 'correct it'],
  ExpiredToken: () => ['the keys are temporary, and their time is over', 'put new ones there, or keys that last'],
  RequestTimeTooSkewed: () => [
    'the clocks here and there differ by more than 15 minutes',
    'set the clock of the machine that asks',
  ],
  InvalidToken: () => ['AWS_SESSION_TOKEN is not what the server gave out', 'correct it, or leave it out'],
  AccessDenied: () => ['the keys do not have the right', `grant them ${rights}`],
  AuthorizationHeaderMalformed: ({ region }) => [`the bucket is not in region ${region}`, 'give it with --s3-region'],
  PermanentRedirect: ({ region }) => [`the bucket is not in region ${region}`, 'give it with --s3-region'],
  ENOTFOUND: () => ['its host name does not resolve', 'correct --s3-endpoint, or the DNS there'],
  EAI_AGAIN: () => ['its host name does not resolve', 'correct --s3-endpoint, or the DNS there'],
  ECONNREFUSED: () => ['nothing listens at that address and port', 'correct --s3-endpoint, or start the server'],
  EHOSTUNREACH: () => ['there is no route to that address', 'look at the network, and at NetworkPolicies of others'],
  TimeoutError: () => ['it did not answer in time', 'look at the network, and at NetworkPolicies of others'],
  ETIMEDOUT: () => ['it did not answer in time', 'look at the network, and at NetworkPolicies of others'],
  ECONNRESET: () => ['it closed the connection', 'see whether --s3-endpoint has to begin with https:// or http://'],
  EPROTO: () => ['what listens there speaks no TLS', 'give --s3-endpoint as http://… if that is meant'],
};

/** What a failed request to the bucket means for its user. @returns `error` itself when it came from elsewhere */
function explainBucket(error: unknown, place: BucketLocation): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const { name, code, $metadata } = error as Error & { code?: string; $metadata?: { httpStatusCode?: number } };
  if ($metadata === undefined && code === undefined) return error;
  const said = [$metadata?.httpStatusCode, name, messageOf(error)].filter(Boolean).join(' ');
  const untrusted: Told = ['its certificate is not trusted', 'give the authority that signed it with --s3-ca FILE'];
  const [why, fix] = isUntrusted(code ?? '')
    ? untrusted
    : (reasons[code ?? '']?.(place) ?? reasons[name]?.(place) ?? ['it refuses', 'mend what it complains of']);
  return new UserError({
    what: `the bucket ${urlOf(place)}${place.endpoint ? ` at ${place.endpoint}` : ''} cannot be used`,
    why: `${why} (${said})`,
    fix,
    anchor: 'backup-bucket',
    cause: error,
  });
}
