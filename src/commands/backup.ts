import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { createBackup } from '../backup/create.ts';
import { fileError, unfinished, wholeFile } from '../backup/file.ts';
import { scheduleBackups, unscheduleBackups } from '../backup/schedule.ts';
import { checkRecipients } from '../backup/seal.ts';
import { fetchKept, listKept } from '../backup/shelf.ts';
import { readHead, verifyBackup } from '../backup/verify.ts';
import { UserError } from '../errors.ts';
import { mebibytes } from '../quantity.ts';
import { table } from '../ui/table.ts';
import {
  addKeyOptions,
  addSealOptions,
  type KeyOptions,
  keysOf,
  repeated,
  type SealOptions,
  sealOf,
} from './backup-keys.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
} from './connection.ts';

interface OutputOption {
  output: 'text' | 'json';
}

export function configure(backup: Command): void {
  const child = (name: string, description: string) =>
    backup.command(name).description(description).helpOption('--help', 'show help');
  const create = child('create', 'etcd snapshot, certificates, keys and spec of a plane, encrypted').argument(
    '<FILE>',
    'where to; - is standard output',
  );
  addOutputOptions(addSealOptions(addConnectionOptions(create)).addOption(outputOption())).action(runCreate);
  const verify = child('verify', 'read a whole backup and check everything in it').argument('<FILE>');
  addKeyOptions(verify).addOption(outputOption()).action(runVerify);
  const list = child('list', 'the backups in a folder, or with -n on the volume of a schedule');
  addConnectionOptions(addKeyOptions(list.argument('[FOLDER]', 'default: the current one', '.')))
    .addOption(outputOption())
    .action(runList);
  const schedule = child('schedule', 'let the infra cluster make backups from time to time, onto a volume')
    .option('--every <TIME>', 'how often', '1h')
    .option('--keep <N>', 'how many of the newest stay', '24')
    .option('--recipient <AGE>', 'age public key that they are encrypted for; may be repeated', repeated)
    .option('--size <SIZE>', 'of the volume', '10Gi')
    .option('--storage-class <NAME>', "of the volume, instead of the infra cluster's default")
    .option('--off', 'end it; the backups stay');
  addOutputOptions(addConnectionOptions(schedule)).action(runSchedule);
  const fetch = child('fetch', 'bring a backup from the volume of a schedule')
    .argument('<FILE>', 'where to')
    .option('--name <NAME>', 'which; default: the newest')
    .option('--timeout <TIME>', 'how long the pod that reads it may take to run', '2m');
  addOutputOptions(addConnectionOptions(fetch)).action(runFetch);
}

interface ScheduleOptions extends ConnectionOptions {
  every: string;
  keep: string;
  recipient?: string[];
  size: string;
  storageClass?: string;
  off?: boolean;
}

async function runSchedule(options: ScheduleOptions): Promise<void> {
  const keep = Number(options.keep);
  const every = parseDuration(options.every, '--every');
  if (!Number.isInteger(keep) || keep < 1)
    throw new UserError({
      what: `--keep "${options.keep}" is not a number from 1 on`,
      anchor: 'bad-values',
      exitCode: 2,
    });
  const reporter = reporterOf(options);
  const cluster = connect(options);
  try {
    if (options.off) {
      const ended = await unscheduleBackups(cluster);
      reporter.line(ended ? 'The schedule has ended; the backups are still on their volume.' : 'There is no schedule.');
      return;
    }
    if (!options.recipient)
      throw new UserError({
        what: 'nothing was given to encrypt the backups with',
        why: 'what would open them must not lie beside them, so only age public keys will do',
        fix: 'add --recipient age1… (age-keygen makes one)',
        anchor: 'backup-key',
        exitCode: 2,
      });
    checkRecipients(options.recipient);
    const { size, storageClass, recipient: recipients } = options;
    const times = await scheduleBackups(cluster, { every, keep, recipients, size, storageClass, reporter });
    reporter.line(`Backups are made at "${times}" (UTC), the newest ${keep} stay. Bring one here: k8sk8s backup fetch`);
  } finally {
    await cluster.close();
  }
}

async function runFetch(file: string, options: ConnectionOptions & { name?: string; timeout: string }): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const reporter = reporterOf(options);
  const cluster = connect(options);
  const phase = reporter.begin('Bringing the backup');
  try {
    const { name, size } = await fetchKept(cluster, options.name, file, { timeout, signal });
    phase.done(`${name}, ${mebibytes(size)} MiB, is in "${file}"`);
  } catch (error) {
    phase.fail();
    throw signal.aborted ? signal.reason : error;
  } finally {
    await cluster.close();
  }
}

async function runCreate(file: string, options: ConnectionOptions & SealOptions & OutputOption): Promise<void> {
  const seal = sealOf(options);
  if (file === '-' && options.output === 'json')
    throw new UserError({
      what: 'the backup and --output json cannot both go to standard output',
      fix: 'give a file instead of -, or leave --output out',
      anchor: 'bad-values',
      exitCode: 2,
    });
  const signal = interruption();
  const reporter = reporterOf(options);
  const cluster = connect(options);
  const phase = reporter.begin('Backing up');
  try {
    const make = (write: (content: Readable) => Promise<void>) => createBackup(cluster, { seal, write, phase, signal });
    const facts = await (file === '-' ? make(toStandardOutput) : wholeFile(file, make));
    phase.done(`Backed up ${mebibytes(facts.size)} MiB of etcd at revision ${facts.revision}, hash verified`);
    if (seal === 'plaintext')
      reporter.warn('the backup is not encrypted: whoever reads it owns the hosted cluster, its Secrets included');
    if (options.output === 'json')
      process.stdout.write(`${JSON.stringify({ file, namespace: cluster.namespace, ...facts }, null, 2)}\n`);
    else if (file !== '-') reporter.line(`file "${file}" created. Check a copy: k8sk8s backup verify ${file}`);
  } catch (error) {
    phase.fail();
    throw signal.aborted ? signal.reason : error;
  } finally {
    await cluster.close();
  }
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
  if (options.output === 'json') {
    const facts = { host: spec.host, version: spec.kubernetesVersion, plane: planeId, namespace: head.namespace };
    process.stdout.write(
      `${JSON.stringify({ file, ok: true, sealed, created: head.created, ...facts, etcd: head.etcd.version, snapshot, secrets: names }, null, 2)}\n`,
    );
    return;
  }
  process.stdout.write(
    [
      `The backup is whole${sealed ? '' : ', and not encrypted'}.`,
      `Plane:     ${spec.host}, Kubernetes ${spec.kubernetesVersion}, ${planeId} in namespace ${head.namespace}`,
      `Made:      ${head.created} by k8sk8s ${head.toolVersion}`,
      `etcd:      ${head.etcd.version}, revision ${snapshot.revision}, ${mebibytes(snapshot.size)} MiB, SHA-256 ${snapshot.sha256}`,
      `Secrets:   ${names.join(', ')}\n`,
    ].join('\n'),
  );
}

async function runList(folder: string, options: ConnectionOptions & KeyOptions & OutputOption): Promise<void> {
  if (options.namespace !== undefined) return listVolume(options);
  const keys = keysOf(options);
  const backups = [];
  // One after the other: with a passphrase each costs a second and 256 MiB.
  for (const name of filesOf(folder)) {
    const file = path.join(folder, name);
    const about = await readHead(file, keys);
    if (about) backups.push({ file, size: statSync(file).size, ...about });
  }
  if (options.output === 'json') {
    const rows = backups.map(({ file, size, sealed, head }) => ({
      file,
      size,
      sealed,
      created: head?.created,
      host: head?.record.spec.host,
      version: head?.record.spec.kubernetesVersion,
      revision: head?.etcd.revision,
    }));
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else if (backups.length === 0) process.stdout.write('No backups.\n');
  else
    process.stdout.write(
      `${table(
        ['FILE', 'MIB', 'ENCRYPTED', 'MADE', 'HOST', 'VERSION'],
        backups.map(({ file, size, sealed, head }) => [
          file,
          mebibytes(size),
          sealed ? 'yes' : 'no',
          head?.created ?? '(needs its key)',
          head?.record.spec.host ?? '',
          String(head?.record.spec.kubernetesVersion ?? ''),
        ]),
      )}\n`,
    );
}

async function listVolume(options: ConnectionOptions & OutputOption): Promise<void> {
  const cluster = connect(options);
  try {
    const kept = await listKept(cluster, { timeout: 120_000, signal: interruption() });
    if (options.output === 'json') process.stdout.write(`${JSON.stringify(kept, null, 2)}\n`);
    else if (kept.length === 0) process.stdout.write('No backups.\n');
    else
      process.stdout.write(
        `${table(
          ['NAME', 'MIB'],
          kept.map(({ name, size }) => [name, mebibytes(size)]),
        )}\n`,
      );
  } finally {
    await cluster.close();
  }
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
