import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import { type EtcdClient, EtcdGateway } from '../../etcd/gateway.ts';
import type { Secret } from '../../kube/objects.ts';
import { daysLeft } from '../../pki/certificates.ts';
import { inspect } from '../../pki/inspect.ts';
import { nearTheirEnd } from '../../pki/near-end.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { explained } from '../../ui/words.ts';
import { asleepNow, isScheduled, scheduledName, scheduledStart } from '../names.ts';
import { type BackupSource, streamBackup } from '../stream.ts';
import type { JobConfig } from './config.ts';

// The program of the CronJob of `k8sk8s backup schedule`. It has no credentials of the infra cluster: the pod mounts all it needs.

/** Where the job stores backups. */
export interface Store {
  /** Other planes store theirs there too. */
  shared: boolean;
  list(): Promise<string[]>;
  /** Afterwards the backup exists completely or, when `make` throws, not at all. */
  put<T>(name: string, make: (write: BackupSource['write']) => Promise<T>): Promise<T>;
  remove(name: string): Promise<void>;
  /** Deletes what killed jobs left unfinished. @param start of the names of this plane's backups */
  sweep(start: string): Promise<void>;
}

/** The settings of this program. */
export function readConfig(): JobConfig {
  return JSON.parse(readFileSync('/config/job.json', 'utf8')) as JobConfig;
}

/**
 * Makes a backup, and deletes those that are more than the schedule keeps.
 *
 * @param by version of k8sk8s
 * @throws UserError as streamBackup, and what the store throws
 */
export async function runJob(config: JobConfig, store: Store, by = config.toolVersion): Promise<void> {
  const { namespace, addresses, etcdHosts, recipients, keep } = config;
  const record = JSON.parse(readFileSync('/record/plane.json', 'utf8')) as PlaneRecord;
  const signal = ending();
  const start = scheduledStart(namespace, record.planeId, store.shared);
  const secrets = readSecrets(record.planeId);
  tellEnds(secrets, namespace);
  const etcd = await answering(etcdHosts, etcdClient()).catch((error: unknown) => {
    if (record.asleep) return undefined;
    throw error;
  });
  if (!etcd)
    return console.log(`${asleepNow} since ${record.asleep!.since}: its data is as it was, and no backup is made`);
  const created = new Date();
  const name = scheduledName(start, created);
  // What is full of unfinished backups has no room for this one.
  await store.sweep(start).catch((error) => console.log(`WARNING unfinished ones are still there: ${told(error)}`));
  const facts = await store
    .put(name, (write) =>
      streamBackup({
        head: { format: 1, created: created.toISOString(), toolVersion: by, namespace, record, addresses },
        secrets,
        etcd,
        seal: { recipients },
        write,
        progress: () => undefined,
        signal,
      }),
    )
    .catch((error) => Promise.reject(signal.aborted ? signal.reason : error));
  console.log(`${name}: revision ${facts.revision}, ${facts.size} bytes of etcd`);
  // The user may have chosen keys without the right to delete; the backup itself is done.
  await prune(store, start, keep).catch((error) => console.log(`WARNING older ones are still there: ${told(error)}`));
}

/** The job may be all that looks at a plane for a year, and it fails itself when the certificate has expired that it shows to etcd. */
function tellEnds(secrets: Secret[], namespace: string): void {
  const certificates = new Map(
    secrets.flatMap(({ data = {} }) =>
      Object.entries(data)
        .filter(([file]) => file.endsWith('.crt'))
        .map(
          ([file, base64]) => [file.replace(/\.crt$/, ''), inspect(Buffer.from(base64, 'base64').toString())] as const,
        )
        .filter(([name, { isAuthority }]) => !isAuthority || name === 'ca-signer'),
    ),
  );
  const remaining = [...certificates].map(([name, facts]) => ({ name, days: daysLeft(facts, new Date()) }));
  for (const finding of nearTheirEnd(remaining, namespace)) console.log(`WARNING ${explained(finding)}`);
}

async function prune(store: Store, start: string, keep: number): Promise<void> {
  const mine = (await store.list()).filter((name) => isScheduled(name, start));
  for (const old of mine.sort().slice(0, -keep)) {
    await store.remove(old);
    console.log(`${old}: removed, there are ${keep} newer ones`);
  }
}

/** The main function of the ConfigMap's programs: runs the job and prints errors as the command line does. */
export async function main(job: (config: JobConfig) => Promise<void>): Promise<void> {
  try {
    await job(readConfig());
  } catch (error) {
    console.error(`ERROR ${told(error)}`);
    process.exitCode = 1;
  }
}

function told(error: unknown): string {
  return error instanceof UserError ? explained(error) : String((error as Error).stack ?? error);
}

/** The plane's Secrets, each a folder of files. */
function readSecrets(planeId: string): Secret[] {
  const labels = {
    'app.kubernetes.io/instance': planeId,
    'app.kubernetes.io/part-of': 'k8sk8s',
    'app.kubernetes.io/managed-by': 'k8sk8s',
  };
  const filesOf = (name: string) =>
    readdirSync(path.join('/secrets', name))
      .filter((file) => !file.startsWith('..'))
      .map((file) => [file, readFileSync(path.join('/secrets', name, file)).toString('base64')]);
  // A Secret that this plane does not have is mounted as an empty folder.
  return readdirSync('/secrets')
    .map((name) => ({ name, data: Object.fromEntries(filesOf(name)) as Record<string, string> }))
    .filter(({ data }) => Object.keys(data).length > 0)
    .map(({ name, data }) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, type: 'Opaque', data }));
}

/** The API server's client certificate for etcd. */
function etcdClient(): EtcdClient {
  const read = (file: string) => readFileSync(path.join('/secrets/kube-apiserver', file), 'utf8');
  return {
    ca: read('etcd-ca.crt'),
    cert: read('apiserver-etcd-client.crt'),
    key: read('apiserver-etcd-client.key'),
  };
}

/** The first member that answers. @throws the error of the last one when none answers */
async function answering(hosts: string[], client: EtcdClient): Promise<EtcdGateway> {
  for (const [index, host] of hosts.entries()) {
    const etcd = EtcdGateway.at(host, client);
    try {
      await etcd.status();
      return etcd;
    } catch (error) {
      if (index === hosts.length - 1) throw error;
    }
  }
  throw new Error('job.json names no member of etcd');
}

/** A pod gets SIGTERM when its hour is over or its node is drained; then nothing unfinished may stay. */
function ending(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGTERM', () =>
    controller.abort(
      new UserError({ what: 'the pod was stopped before its backup was complete', anchor: 'interrupted' }),
    ),
  );
  return controller.signal;
}
