import type { Command } from 'commander';
import { backupName } from '../backup/names.ts';
import { restore } from '../operations/restore/restore.ts';
import { formatDuration } from '../ui/reporter.ts';
import { addKeyOptions, type KeyOptions, keysOf } from './options/backup-keys.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

interface RestoreOptions extends ConnectionOptions, KeyOptions {
  asNewHost?: string;
  nodePort?: string;
  ingressClass?: string;
  etcdStorage?: string;
  etcdStorageClass?: string;
  replace?: boolean;
  safetyBackup?: string;
  oldPlaneIsDown?: boolean;
  dir: string;
  force?: boolean;
  timeout: string;
  output: 'text' | 'json';
}

export function configure(command: Command): void {
  addKeyOptions(addConnectionOptions(command.argument('<FILE>', 'a backup of k8sk8s backup create')))
    .option('--as-new-host <HOST>', 'another host than the plane had')
    .option('--node-port <PORT>', 'another node port than the plane had')
    .option('--ingress-class <NAME>', 'another IngressClass than the plane had')
    .option('--etcd-storage <auto|ephemeral|SIZE>', 'another storage for etcd than the plane had')
    .option('--etcd-storage-class <NAME>', "another StorageClass of etcd's volumes")
    .option('--replace', 'first make a backup of the existing plane, and destroy it')
    .option('--safety-backup <FILE>', 'with --replace: where to; default NAMESPACE-before-restore-TIME.backup')
    .option('--old-plane-is-down', 'confirm that the plane of the backup is down, where k8sk8s cannot find out')
    .option('--dir <DIR>', 'folder for the kubeconfigs', 'tls')
    .option('--force', "overwrite files in --dir that are another cluster's")
    .option('--timeout <TIME>', 'how long each step may take', '5m')
    .addOption(outputOption());
  addOutputOptions(command).action(run);
}

async function run(file: string, options: RestoreOptions): Promise<void> {
  const started = performance.now();
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const keys = keysOf(options);
  const reporter = reporterOf(options);
  await withInfra(options, async (cluster) => {
    const result = await restore(cluster, {
      file,
      keys,
      asNewHost: options.asNewHost,
      changes: {
        nodePort: options.nodePort as unknown as number | undefined,
        ingressClass: options.ingressClass,
        etcdStorage: options.etcdStorage,
        etcdStorageClass: options.etcdStorageClass,
      },
      replace: options.replace
        ? { safetyBackup: options.safetyBackup ?? backupName(cluster.namespace, 'before-restore') }
        : undefined,
      oldPlaneIsDown: options.oldPlaneIsDown ?? false,
      reporter,
      timeout,
      signal,
      files: { dir: options.dir, force: options.force ?? false },
    });
    const took = performance.now() - started;
    const { planeId: plane, addresses, serverVersion: version, files } = result;
    const data = { file, namespace: cluster.namespace, plane, ...addresses, version, files, seconds: took / 1000 };
    print(options, data, () =>
      reporter.line(
        `Restored: the hosted cluster is at ${result.addresses.publicServer} (${formatDuration(took)}). ${options.asNewHost ? 'Its workers have to be told: k8sk8s worker-config' : 'Its workers come back by themselves.'}`,
      ),
    );
  });
}
