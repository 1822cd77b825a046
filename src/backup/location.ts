import { UserError } from '../base/errors.ts';
import { option, type Words, words } from '../base/words.ts';

/** A bucket of an S3 server, and how to reach it. */
export interface BucketLocation {
  bucket: string;
  /** Prefix of all keys: empty, or with a slash at its end. */
  prefix: string;
  /** URL of a server other than AWS's; its buckets are named in the path. */
  endpoint?: string;
  region: string;
  /** PEM: the CA of the endpoint's certificate, if it is not a publicly trusted one. */
  ca?: string;
}

/** The keys that sign requests. */
export interface BucketKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** The environment variables of AWS's own tools; the keys of the Secret have the same names. */
const keyNames = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

/** AWS's default region; most other servers accept any region. */
const usualRegion = 'us-east-1';

/** A bucket as options name it. */
export interface LocationOptions {
  /** `s3://BUCKET[/PREFIX]`. */
  url: string;
  endpoint?: string;
  region?: string;
  ca?: string;
}

/**
 * @param option where the URL was given, for the message
 * @throws UserError `bad-values`
 */
export function bucketLocation({ url, endpoint, region, ca }: LocationOptions, option: string): BucketLocation {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]*)(.*)$/.exec(url) ?? [];
  if (!url.startsWith('s3://'))
    throw bad(`${option} "${url}" is neither pvc nor s3://BUCKET[/PREFIX]`, 'give one of them');
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw bad(
      `${option} "${url}" names no bucket`,
      'a bucket has 3 to 63 lower-case letters, digits, - and ., as in s3://backups/team',
    );
  const folders = path.split('/').filter(Boolean);
  if (folders.some((each) => !/^[\w!.*'()-]+$/.test(each) || /^\.+$/.test(each)))
    throw bad(
      `the prefix of ${option} "${url}" has characters that not every server takes in a key`,
      "give letters, digits, /, and !-_.*'() only",
    );
  return {
    bucket,
    prefix: folders.map((each) => `${each}/`).join(''),
    ...(endpoint !== undefined && { endpoint: checkEndpoint(endpoint) }),
    region: region ?? usualRegion,
    ...(ca !== undefined && { ca }),
  };
}

/** `s3://backups/team`. */
export function urlOf({ bucket, prefix }: BucketLocation): string {
  return `s3://${bucket}${prefix && `/${prefix.slice(0, -1)}`}`;
}

/**
 * @param read returns the value of a variable, if it is set
 * @param where the keys were looked for, for the message
 * @throws UserError `bucket-keys`
 */
export function bucketKeys(read: (name: string) => string | undefined, where: Words): BucketKeys {
  const [accessKeyId, secretAccessKey, sessionToken] = keyNames.map((name) => read(name)?.trim());
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  throw new UserError({
    what: words`${where} has no ${[!accessKeyId && keyNames[0], !secretAccessKey && keyNames[1]].filter(Boolean).join(' and no ')}`,
    why: 'requests to a bucket are signed with them',
    fix: `add ${keyNames[0]} and ${keyNames[1]}, and ${keyNames[2]} for temporary keys`,
    anchor: 'bucket-keys',
    kind: 'refused',
  });
}

function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.username) return url.origin;
  throw bad(
    words`${option('s3Endpoint')} "${text}" is not the URL of a server`,
    'give for example https://s3.example.com:9000',
  );
}

function bad(what: Words, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}
