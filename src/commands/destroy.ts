import type { Command } from 'commander';
import { purgeFiles } from '../access/files.ts';
import { backupsClaim } from '../backup/cronjob.ts';
import { urlOf } from '../backup/location.ts';
import { type BackupLocations, backupLocations } from '../backup/schedule.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';
import { type Inventory, takeInventory } from '../live/inventory.ts';
import { destroy } from '../operations/destroy.ts';
import { readAuthority } from '../plane/secrets.ts';
import { quietReporter } from '../ui/quiet.ts';
import { confirm } from './options/confirm.ts';
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

interface DestroyOptions extends ConnectionOptions {
  yes?: boolean;
  dryRun?: boolean;
  keepFiles?: boolean;
  dir: string;
  timeout: string;
  output: 'text' | 'json';
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only list what would be deleted')
    .option('--keep-files', "keep the plane's own files in --dir, although they are useless then")
    .option('--dir <DIR>', 'folder of the kubeconfigs', 'tls')
    .option('--timeout <TIME>', 'how long it may take until everything is gone', '3m')
    .addOption(outputOption());
  addOutputOptions(command).action(run);
}

async function run(options: DestroyOptions): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const reporter = reporterOf(options);
  await withInfra(options, async (cluster) => {
    const inventory = await takeInventory(cluster);
    const authority = readAuthority(inventory.owned);
    const stays = [...inventory.otherPlanes, ...inventory.lookalikes];
    const backups = backupsThatStay(cluster.namespace, await backupLocations(cluster));
    if (options.dryRun) return showPlan(cluster.namespace, inventory, backups, options);
    if (inventory.owned.length + inventory.pods.length === 0) {
      // A command that was killed, or that looked for a plane in vain, may have left its lease.
      if (inventory.lease)
        await destroy(cluster, { agreed: inventory.record, reporter: quietReporter, timeout, signal });
      reporter.line(`Nothing to do: no plane of k8sk8s is in namespace "${cluster.namespace}".`);
    } else {
      reporter.line(
        `In namespace "${cluster.namespace}": ${inventory.owned.length} objects of k8sk8s${inventory.record ? ` (${inventory.record.spec.host})` : ', left of a plane whose record is gone'}`,
      );
      for (const object of stays)
        reporter.line(
          `stays: ${nameOf(object)} (${object.metadata.name === backupsClaim ? 'scheduled backups' : inventory.otherPlanes.includes(object) ? 'another plane’s' : 'not of k8sk8s'})`,
        );
      if (!options.yes) {
        const plane = ['the plane', inventory.record?.spec.host].filter(Boolean).join(' ');
        await confirm(`delete ${plane} in namespace "${cluster.namespace}"`, 'All of its data is lost.');
      }
      const { deleted } = await destroy(cluster, { agreed: inventory.record, reporter, timeout, signal });
      reporter.line(`${deleted} objects deleted, 0 left.`);
      for (const { where, look } of backups) reporter.line(`Its scheduled backups stay ${where}: ${look}`);
    }
    // They would stop the next deploy, as files of another cluster.
    const purged = options.keepFiles ? { removed: [], kept: [] } : purgeFiles(options.dir, authority);
    for (const file of purged.removed) reporter.line(`file "${file}" removed`);
    for (const file of purged.kept) reporter.debug(`stays: file "${file}" (not known to be of this plane)`);
    const kept = { stays: stays.map(nameOf), backups: backups.map(({ where }) => where), files: purged };
    const data = { namespace: cluster.namespace, deleted: inventory.owned.map(nameOf), left: 0, ...kept };
    print(options, data, () => undefined);
  });
}

interface StayingBackups {
  /** `in s3://backups/team`. */
  where: string;
  /** The command that shows them. */
  look: string;
}

function backupsThatStay(namespace: string, { bucket, volume }: BackupLocations): StayingBackups[] {
  return [
    ...(bucket
      ? [
          {
            where: `in ${urlOf(bucket)}`,
            look: `k8sk8s backup list --from ${urlOf(bucket)}${bucket.endpoint ? ` --s3-endpoint ${bucket.endpoint}` : ''}`,
          },
        ]
      : []),
    ...(volume ? [{ where: `on the volume ${backupsClaim}`, look: `k8sk8s backup list -n ${namespace}` }] : []),
  ];
}

function showPlan(namespace: string, inventory: Inventory, backups: StayingBackups[], options: DestroyOptions): void {
  const row = (object: KubeObject) => ({ kind: object.kind, name: object.metadata.name });
  const stays = [...inventory.otherPlanes, ...inventory.lookalikes];
  const data = {
    namespace,
    wouldDelete: inventory.owned.map(row),
    pods: inventory.pods.map(row),
    stays: stays.map(row),
    backups: backups.map(({ where }) => where),
  };
  print(options, data, () =>
    [
      ...inventory.owned.map((object) => `would delete ${nameOf(object)}`),
      ...inventory.pods.map((object) => `goes along    ${nameOf(object)}`),
      ...stays.map((object) => `stays         ${nameOf(object)}`),
      ...data.backups.map((where) => `stays         scheduled backups ${where}`),
      `${inventory.owned.length} objects in namespace "${namespace}" would be deleted; nothing was changed.`,
    ].join('\n'),
  );
}
