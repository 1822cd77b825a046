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
import { command, option, type Words, words } from '../base/words.ts';
import { isUntrusted } from '../kube/errors.ts';
import { type BucketKeys, type BucketLocation, urlOf } from './location.ts';
import { abandoned, backupSuffix, byTime } from './names.ts';
import type { BackupStore, StoredBackup } from './store.ts';

// The only importer of the S3 client, so no other command loads it.

/** Bytes of a part; two parts are in memory at once. S3 allows 10,000 parts, so a backup may have 80 GiB. */
const partSize = 8 << 20;

/** The backups in a bucket, under its prefix. Every method throws UserError `backup-bucket`. */
export class Bucket implements BackupStore {
  readonly where: string;
  readonly #location: BucketLocation;
  readonly #client: S3Client;

  constructor(location: BucketLocation, keys: BucketKeys) {
    this.#location = location;
    this.where = urlOf(location);
    // On Node 20 the client warns at every start that its versions of 2027 need a newer Node.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    this.#client = new S3Client({
      credentials: keys,
      region: location.region,
      requestHandler: {
        connectionTimeout: 10_000,
        socketTimeout: 60_000,
        // An agent and not its options: for large parts the client creates further agents, without these options.
        httpsAgent: new Agent({ keepAlive: true, ca: location.ca }),
      },
      expectContinueHeader: false,
      ...(location.endpoint !== undefined && {
        endpoint: location.endpoint,
        forcePathStyle: true,
        // AWS added these checksums in 2025, and not every other server supports them.
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
        if (Key.endsWith(backupSuffix)) found.push({ name: Key.slice(this.#location.prefix.length), size: Size });
      next = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
    return found.sort((a, b) => byTime(a.name, b.name));
  }

  /** Uploads a stream. Afterwards the object exists completely or not at all. */
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
   * Deletes the parts of abandoned uploads: no listing shows them, and they cost money.
   *
   * @param start of the objects' names
   * @returns the number of uploads
   */
  async sweep(start: string): Promise<number> {
    const { Uploads = [] } = await this.#ask(() =>
      this.#client.send(new ListMultipartUploadsCommand(this.#under(start))),
    );
    const old = Uploads.filter(({ Initiated }) => Initiated && Date.now() - Initiated.getTime() > abandoned);
    for (const { Key, UploadId } of old)
      await this.#ask(() =>
        this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#location.bucket, Key, UploadId })),
      );
    return old.length;
  }

  close(): void {
    this.#client.destroy();
  }

  #at(name: string) {
    return { Bucket: this.#location.bucket, Key: `${this.#location.prefix}${name}` };
  }

  #under(start: string) {
    return { Bucket: this.#location.bucket, Prefix: `${this.#location.prefix}${start}` };
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw explainBucket(error, this.#location);
    }
  }

  async *#explained(body: Readable): AsyncGenerator<Buffer> {
    try {
      yield* body as AsyncIterable<Buffer>;
    } catch (error) {
      throw explainBucket(error, this.#location);
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

type Explanation = [why: string, fix: Words];

/** By the `Code` of an S3 answer (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) or by Node's. */
const reasons: Record<string, (location: BucketLocation) => Explanation> = {
  NoSuchBucket: ({ bucket }) => [
    `there is no bucket "${bucket}"`,
    'create it, or correct its name; k8sk8s never creates a bucket',
  ],
  NoSuchKey: () => ['there is no object of that name', words`list the backups: ${command('backup list')}`],
  InvalidAccessKeyId: () => ['the server does not know AWS_ACCESS_KEY_ID', 'correct it'],
  SignatureDoesNotMatch: () => ['AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID', 'correct it'],
  ExpiredToken: () => ['the keys are temporary, and have expired', 'use new keys, or keys that do not expire'],
  RequestTimeTooSkewed: () => [
    'the clocks here and on the server differ by more than 15 minutes',
    'set the clock of this machine',
  ],
  InvalidToken: () => ['the server did not issue AWS_SESSION_TOKEN', 'correct it, or leave it out'],
  AccessDenied: () => ['the keys do not have the right', `grant them ${rights}`],
  AuthorizationHeaderMalformed: ({ region }) => [
    `the bucket is not in region ${region}`,
    words`give it with ${option('s3Region')}`,
  ],
  PermanentRedirect: ({ region }) => [
    `the bucket is not in region ${region}`,
    words`give it with ${option('s3Region')}`,
  ],
  ENOTFOUND: () => ['its host name does not resolve', words`correct ${option('s3Endpoint')}, or the DNS there`],
  EAI_AGAIN: () => ['its host name does not resolve', words`correct ${option('s3Endpoint')}, or the DNS there`],
  ECONNREFUSED: () => [
    'nothing listens at that address and port',
    words`correct ${option('s3Endpoint')}, or start the server`,
  ],
  EHOSTUNREACH: () => ['there is no route to that address', 'look at the network, and at NetworkPolicies of others'],
  TimeoutError: () => ['it did not answer in time', 'look at the network, and at NetworkPolicies of others'],
  ETIMEDOUT: () => ['it did not answer in time', 'look at the network, and at NetworkPolicies of others'],
  ECONNRESET: () => [
    'it closed the connection',
    words`check whether ${option('s3Endpoint')} has to begin with https:// or http://`,
  ],
  EPROTO: () => [
    'the server there does not use TLS',
    words`give ${option('s3Endpoint')} as http://… if this is intended`,
  ],
};

/** Explains a failed request to the bucket. @returns `error` itself when the request did not cause it */
function explainBucket(error: unknown, location: BucketLocation): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const { name, code, $metadata } = error as Error & { code?: string; $metadata?: { httpStatusCode?: number } };
  if ($metadata === undefined && code === undefined) return error;
  const said = [$metadata?.httpStatusCode, name, messageOf(error)].filter(Boolean).join(' ');
  const untrusted: Explanation = [
    'its certificate is not trusted',
    words`give the CA that signed it with ${option('s3Ca', 'FILE')}`,
  ];
  const [why, fix] = isUntrusted(code ?? '')
    ? untrusted
    : (reasons[code ?? '']?.(location) ??
      reasons[name]?.(location) ?? ['it refuses the request', 'fix the cause that it names']);
  return new UserError({
    what: `the bucket ${urlOf(location)}${location.endpoint ? ` at ${location.endpoint}` : ''} cannot be used`,
    why: `${why} (${said})`,
    fix,
    anchor: 'backup-bucket',
    cause: error,
  });
}
