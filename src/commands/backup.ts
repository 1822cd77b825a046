import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type BackupFacts, createBackup } from '../backup/create.ts';
import { unfinished, wholeFile } from '../backup/file.ts';
import { fetchBackup } from '../backup/store.ts';
import { readHead, verifyBackup } from '../backup/verify.ts';
import { UserError } from '../base/errors.ts';
import { fileError } from '../base/file-error.ts';
import { mebibytes } from '../base/quantity.ts';
import { table } from '../ui/table.ts';
import { configureSchedule, runScheduledJob } from './backup/schedule.ts';
import {
  addKeyOptions,
  addSealOptions,
  type KeyOptions,
  keysOf,
  type SealOptions,
  sealOf,
} from './options/backup-keys.ts';
import { addSourceOptions, type SourceOptions, withBackupStore } from './options/backup-location.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
} from './options/connection.ts';
import { print } from './options/print.ts';

interface OutputOption {
  output: 'text' | 'json';
}

export function configure(backup: Command): void {
  const child = (name: string, description: string) =>
    backup.command(name).description(description).helpOption('--help', 'show help');
  const create = child('create', 'etcd snapshot, certificates, keys and spec of a plane, encrypted').argument(
    '<FILE>',
    'file to write; - is standard output',
  );
  addOutputOptions(addSealOptions(addConnectionOptions(create)).addOption(outputOption())).action(runCreate);
  const verify = child('verify', 'read a whole backup and check everything in it').argument(
    '<FILE>',
    'a backup of k8sk8s backup create',
  );
  addKeyOptions(verify).addOption(outputOption()).action(runVerify);
  const list = child('list', 'list the backups in a folder, or with -n or --from those of a schedule');
  addConnectionOptions(addSourceOptions(addKeyOptions(list.argument('[FOLDER]', 'where to look', '.'))))
    .addOption(outputOption())
    .action(runList);
  configureSchedule(
    child('schedule', 'let the infra cluster make backups from time to time, onto a volume or into a bucket'),
  );
  backup
    .command('job', { hidden: true })
    .description("read one of a schedule's backups, in its pod")
    .action(runScheduledJob);
  const fetch = child('fetch', 'download a backup of a schedule')
    .argument('<FILE>', 'where to')
    .option('--name <NAME>', 'which; default: the newest')
    .option('--timeout <TIME>', 'how long the pod that reads the backup may take to start', '2m');
  addOutputOptions(addConnectionOptions(addSourceOptions(fetch))).action(runFetch);
}

async function runFetch(file: string, options: SourceOptions & { name?: string; timeout: string }): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  try {
    await reporterOf(options).during(
      'Downloading the backup',
      () => withBackupStore(options, { timeout, signal }, (store) => fetchBackup(store, options.name, file)),
      ({ name, size }) => `${name}, ${mebibytes(size)} MiB, is in "${file}"`,
    );
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function runCreate(file: string, options: ConnectionOptions & SealOptions & OutputOption): Promise<void> {
  const seal = sealOf(options);
  if (file === '-' && options.output === 'json')
    throw new UserError({
      what: 'the backup and --output json cannot both go to standard output',
      fix: 'give a file instead of -, or leave --output out',
      anchor: 'bad-values',
      kind: 'usage',
    });
  const signal = interruption();
  const reporter = reporterOf(options);
  const cluster = connect(options);
  try {
    const facts = await reporter.during(
      'Backing up',
      (phase) => {
        const make = (write: (content: Readable) => Promise<void>) =>
          createBackup(cluster, { seal, write, phase, signal });
        return file === '-' ? make(toStandardOutput) : wholeFile(file, make);
      },
      ({ size, revision }) => `Backed up ${mebibytes(size)} MiB of etcd at revision ${revision}, hash verified`,
    );
    if (seal === 'plaintext')
      reporter.warn('the backup is not encrypted: whoever reads it owns the hosted cluster, its Secrets included');
    print(options, { file, namespace: cluster.namespace, ...facts }, () => {
      if (file !== '-') reporter.line(`file "${file}" created. Check a copy: k8sk8s backup verify ${file}`);
      for (const each of leftOut(facts)) reporter.line(each);
    });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    await cluster.close();
  }
}

/** What a plane has, and its backup has not. Pure. */
export function leftOut({ workerPods, logs }: Pick<BackupFacts, 'workerPods' | 'logs'>): string[] {
  return [
    ...(workerPods > 0
      ? [`The disks of the ${workerPods} worker pods are not in it: data of hosted pods that is on a worker's own disk`]
      : []),
    ...(logs ? ['The logs that the plane keeps are not in it: a plane that is restored begins with none'] : []),
  ];
}

async function toStandardOutput(content: Readable): Promise<void> {
  await pipeline(content, process.stdout, { end: false }).catch((error) =>
    Promise.reject(fileError('write', 'standard output', error)),
  );
}

async function runVerify(file: string, options: KeyOptions & OutputOption): Promise<void> {
  const { head, sealed, snapshot, secrets } = await verifyBackup(file, keysOf(options));
  const { spec, planeId } = head.record;
  const names = secrets.map(({ metadata }) => metadata.name);
  const facts = { host: spec.host, version: spec.kubernetesVersion, plane: planeId, namespace: head.namespace };
  const etcd = head.etcd.version;
  print(options, { file, ok: true, sealed, created: head.created, ...facts, etcd, snapshot, secrets: names }, () =>
    [
      `The backup is whole${sealed ? '' : ', and not encrypted'}.`,
      `Plane:     ${spec.host}, Kubernetes ${spec.kubernetesVersion}, ${planeId} in namespace ${head.namespace}`,
      `Made:      ${head.created} by k8sk8s ${head.toolVersion}`,
      `etcd:      ${etcd}, revision ${snapshot.revision}, ${mebibytes(snapshot.size)} MiB, SHA-256 ${snapshot.sha256}`,
      `Secrets:   ${names.join(', ')}`,
    ].join('\n'),
  );
}

async function runList(folder: string, options: SourceOptions & KeyOptions & OutputOption): Promise<void> {
  if (options.namespace !== undefined || options.from !== undefined) return listScheduled(options);
  const keys = keysOf(options);
  const backups = [];
  // One after the other: with a passphrase each costs a second and 256 MiB.
  for (const name of filesOf(folder)) {
    const file = path.join(folder, name);
    const about = await readHead(file, keys);
    if (about) backups.push({ file, size: statSync(file).size, ...about });
  }
  const rows = backups.map(({ file, size, sealed, head }) => ({
    file,
    size,
    sealed,
    created: head?.created,
    host: head?.record.spec.host,
    version: head?.record.spec.kubernetesVersion,
    revision: head?.etcd.revision,
  }));
  print(options, rows, () =>
    rows.length === 0
      ? 'No backups.'
      : table(
          ['FILE', 'MIB', 'ENCRYPTED', 'MADE', 'HOST', 'VERSION'],
          rows.map(({ file, size, sealed, created, host, version }) => [
            file,
            mebibytes(size),
            sealed ? 'yes' : 'no',
            created ?? '(needs its key)',
            host ?? '',
            String(version ?? ''),
          ]),
        ),
  );
}

async function listScheduled(options: SourceOptions & OutputOption): Promise<void> {
  const kept = await withBackupStore(options, { timeout: 120_000, signal: interruption() }, (store) => store.list());
  print(options, kept, () =>
    kept.length === 0
      ? 'No backups.'
      : table(
          ['NAME', 'MIB'],
          kept.map(({ name, size }) => [name, mebibytes(size)]),
        ),
  );
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith(unfinished))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    throw fileError('read', folder, error);
  }
}
