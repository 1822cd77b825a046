import type { Command } from 'commander';
import { mebibytes } from '../base/quantity.ts';
import {
  type Damage,
  damageOf,
  defragment,
  etcdMembers,
  type MemberReport,
  repairMembers,
  repairUnfinished,
} from '../operations/etcd/maintenance.ts';
import type { Remains } from '../operations/etcd/recover.ts';
import type { Reporter } from '../ui/reporter.ts';
import { table } from '../ui/table.ts';
import { confirm } from './options/confirm.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  outputOption,
  runChange,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

type Changing = ConnectionOptions & { timeout: string; output: string };

export function configure(command: Command): void {
  const child = (name: string, description: string) => addPlaneCommand(command, name, description);
  child(
    'members',
    'list the members, their roles and sizes; exit code 1 when a member does not answer or raises an alarm',
  )
    .addOption(outputOption())
    .action(members);
  addOutputOptions(child('repair', 'replace members that lost their data, from the other members or from the last one'))
    .option('--yes', 'do not ask')
    .option('--timeout <TIME>', 'how long each member may take', '5m')
    .addOption(outputOption())
    .action(repair);
  addOutputOptions(child('defrag', 'free unused space of the database, and allow writes again after an alarm'))
    .option('--timeout <TIME>', 'how long each member may take', '5m')
    .addOption(outputOption())
    .action(defrag);
}

async function members(options: ConnectionOptions & { output: string }): Promise<void> {
  await withInfra(options, async (cluster) => {
    const found = await etcdMembers(cluster);
    print(options, found, render);
    if (found.some(({ role, alarms }) => role === 'silent' || role === 'unknown' || alarms.length > 0))
      process.exitCode = 1;
  });
}

/** Pure. */
export function render(found: MemberReport[]): string {
  const rows = found.map(({ name, address, role, status, alarms }) => [
    name,
    address,
    role,
    status?.version ?? '',
    status ? String(status.revision) : '',
    status ? `${mebibytes(status.size)} MiB (${mebibytes(status.inUse)} MiB in use)` : '',
    status?.quota ? `${mebibytes(status.quota)} MiB` : '',
    alarms.join(', '),
  ]);
  return table(['MEMBER', 'ADDRESS', 'ROLE', 'VERSION', 'REVISION', 'SIZE', 'AT MOST', 'ALARM'], rows);
}

async function repair(options: Changing & { yes?: boolean }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const damage = await damageOf(cluster);
    const { lost, remains } = damage;
    if (lost.length > 0) {
      if (remains) explain(remains, cluster.namespace, work.reporter);
      if (!options.yes) await ask(damage, cluster.namespace);
      await repairMembers(cluster, damage, work);
      work.reporter.line(`Replaced: ${lost.join(', ')}.`);
    } else if (await repairUnfinished(cluster)) {
      await repairMembers(cluster, damage, work);
      work.reporter.line('An earlier repair was not finished: it is now.');
    } else work.reporter.line('Nothing to repair: all members answer.');
    print(options, { replaced: lost, ...(remains && { survivor: remains.survivor }) }, () => undefined);
  });
}

function explain({ survivor, revision, lost }: Remains, namespace: string, reporter: Reporter): void {
  reporter.line(
    [
      `etcd has no majority: ${lost.join(', ')} do not answer, ${survivor} does (revision ${revision}).`,
      `If their volumes are still there, bring them back instead: they may hold writes of the last moment that ${survivor} lacks.`,
      `k8sk8s status -n ${namespace} says what keeps their pods.`,
      `Else all members go on with what ${survivor} holds. Meanwhile nothing of the plane but etcd runs; its own data stays until the others have it.`,
    ].join('\n'),
  );
}

async function ask({ lost, remains }: Damage, namespace: string): Promise<void> {
  if (remains)
    await confirm(
      `recover the plane in namespace "${namespace}" from ${remains.survivor} alone`,
      `The volumes of ${lost.join(', ')} are deleted.`,
    );
  else
    await confirm(
      `replace ${lost.join(', ')} in namespace "${namespace}"`,
      'What is on their volumes is deleted; the others have it.',
    );
}

async function defrag(options: Changing): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const found = await defragment(cluster, work);
    for (const { name, before, after } of found)
      work.reporter.line(`${name}: ${mebibytes(before)} MiB before, ${mebibytes(after)} MiB now`);
    print(options, found, () => undefined);
  });
}
