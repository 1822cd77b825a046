import { createHash } from 'node:crypto';
import http from 'node:http';
import tls from 'node:tls';
import pLimit from 'p-limit';
import { boundedText } from '../base/bounded-text.ts';
import { UserError } from '../base/errors.ts';
import { again, command, option, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Secret } from '../kube/objects.ts';
import { podsOf } from '../live/pods.ts';
import { trusted } from '../pki/authority.ts';
import { administrator, type PkiBundle } from '../pki/certificates.ts';
import { authenticationFile, authorizationFile, identityName } from '../plane/components/kube-apiserver/identity.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { klogErrors } from './trial.ts';

/** An API server by itself, as no service tells it from another. */
export interface Replica {
  name: string;
  /** What it tells at /metrics; undefined while it does not answer. */
  metrics(signal: AbortSignal): Promise<string | undefined>;
  /** The end of its log. */
  log(): Promise<string>;
}

/** The file of the identity Secret, and the metric in which an API server tells the hash of the one that it works by. */
const followed = [
  { file: authenticationFile, metric: 'apiserver_authentication_config_controller_last_config_info' },
  { file: authorizationFile, metric: 'apiserver_authorization_config_controller_last_config_info' },
];

/** Milliseconds from the Secret's change to the API server, at least: a kubelet looks once a minute, an API server too. */
const atLeast = 180_000;

/** API servers that are asked at a time. */
const atOnce = 5;

/**
 * Waits until each API server works by the files of the identity Secret, which it reads again by itself. Those of a Kubernetes that
 * has no such metric do not tell.
 *
 * @param list the API servers that are there, asked for anew each time
 * @param least milliseconds that it waits at least
 * @throws UserError `identity-not-taken` with what an API server says about it
 */
export async function waitTakenOver(
  list: () => Promise<Replica[]>,
  secret: Pick<Secret, 'data'>,
  { reporter, timeout, signal }: Work,
  least = atLeast,
): Promise<void> {
  const wanted = followed.flatMap(({ file, metric }) => {
    const content = secret.data?.[file];
    return content === undefined ? [] : [{ metric, hash: hashOf(Buffer.from(content, 'base64').toString('utf8')) }];
  });
  let behind: Behind[] = [];
  let count = 0;
  // Whoever may make pods may make any number with the labels of API servers.
  const limit = pLimit(atOnce);
  await reporter.during(
    'Waiting until each API server works by the rules about who gets in',
    (phase) =>
      waitFor({
        until: async () => {
          const all = await list();
          const told = await Promise.all(
            all.map((replica) =>
              limit(async (): Promise<Behind[]> => {
                const metrics = await replica.metrics(signal);
                return worksBy(metrics, wanted) ? [] : [{ replica, answers: metrics !== undefined }];
              }),
            ),
          );
          behind = told.flat();
          count = all.length;
          return all.length > 0 && behind.length === 0;
        },
        now: () => `${count - behind.length} of ${count} have; a kubelet hands the change on within about a minute`,
        timeout: Math.max(timeout, least),
        every: 2000,
        phase,
        signal,
        late: async (after) => notTaken(behind, after),
      }),
    () => `Each API server (${count}) works by the rules about who gets in`,
  );
}

/** Pure. */
function worksBy(metrics: string | undefined, wanted: { metric: string; hash: string }[]): boolean {
  if (metrics === undefined) return false;
  return wanted.every(({ metric, hash }) => {
    const lines = metrics.split('\n').filter((line) => line.startsWith(`${metric}{`));
    return lines.length === 0 || lines.some((line) => new RegExp(`[{,]hash="sha256:${hash}"`).test(line));
  });
}

function hashOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** An API server that has not taken the files over. */
interface Behind {
  replica: Replica;
  answers: boolean;
}

/** Each may have a cause of its own: one reaches an issuer, and another one on another node does not. */
async function notTaken(behind: Behind[], after: string): Promise<UserError> {
  const causes = await Promise.all(behind.map(async (each) => `${each.replica.name}: ${await causeOf(each)}`));
  return new UserError({
    what: `${behind.map(({ replica }) => replica.name).join(' and ') || 'no API server'} did not take over who gets in within ${after}`,
    why: causes.join('\n') || 'none is there',
    fix: words`correct what is named there, or leave that issuer out; then ${again}, with a longer ${option('timeout')} where kubelets are slow. ${command('logs', undefined, 'gate')} says what the gate refused`,
    anchor: 'identity-not-taken',
  });
}

async function causeOf({ replica, answers }: Behind): Promise<string> {
  const complaint = identityComplaint(await replica.log().catch(() => ''));
  if (complaint !== undefined) return complaint;
  if (!answers) return 'it does not answer';
  return 'its log has no complaint, so its kubelet may not have handed the files on yet; it takes new issuers over when all of them answer';
}

/** The newest line in which an API server says what is wrong with its issuers. Pure. */
function identityComplaint(log: string): string | undefined {
  const about = /oidc authenticator|authentication config|authorization config|JWKS/;
  const last = klogErrors(log).findLast((entry) => about.test(entry));
  return last?.replace(/^E\d{4} \S+\s+\d+ \S+\] /, '').slice(0, 600);
}

/** The API servers of a plane, each by a port-forward to its pod. */
export function replicasOf(
  cluster: InfraCluster,
  planeId: string,
  bundle: PkiBundle,
  port: number,
): () => Promise<Replica[]> {
  const client = administrator(bundle);
  return async () => {
    const { certificate: cert, key } = await client;
    const ca = trusted(bundle.authorities.ca!);
    const pods = (await podsOf(cluster, planeId, 'kube-apiserver')).filter(
      ({ metadata }) => !metadata.deletionTimestamp,
    );
    return pods.map(({ metadata: { name } }) => ({
      name,
      metrics: async (signal) => {
        try {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
          const socket = await cluster.forward(name, port, limit);
          return await fetchMetrics(tls.connect({ socket, ca, cert, key, servername: 'kubernetes' }), limit);
        } catch {
          return undefined;
        }
      },
      log: () => cluster.log(name, { container: 'kube-apiserver', sinceSeconds: 300, tailLines: 5000 }),
    }));
  };
}

/** Bytes: an API server says 2 to 3 MiB of itself; what stands in its place may say more. */
const longestMetrics = 16 << 20;

function fetchMetrics(socket: tls.TLSSocket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    const request = http.get(
      { createConnection: () => socket, path: '/metrics', host: 'kubernetes', signal },
      (response) =>
        boundedText(response, longestMetrics)
          .then(resolve, reject)
          .finally(() => socket.destroy()),
    );
    request.once('error', reject);
  });
}

/** Whether the identity Secret is to become another one. Pure. */
export function changesIdentity(before: Pick<Secret, 'data'> | undefined, secrets: Secret[]): boolean {
  const next = identityIn(secrets);
  const files = new Set([...Object.keys(before?.data ?? {}), ...Object.keys(next.data ?? {})]);
  return before !== undefined && [...files].some((file) => before.data?.[file] !== next.data?.[file]);
}

export function identityIn(secrets: Secret[]): Secret {
  return secrets.find(({ metadata }) => metadata.name === identityName)!;
}
