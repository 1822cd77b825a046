import type { Command } from 'commander';
import { defragment, etcdMembers, lostMembers, type MemberReport, repairMembers } from '../etcd/care.ts';
import { mebibytes } from '../quantity.ts';
import { table } from '../ui/table.ts';
import { confirm } from './confirm.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  changing,
  connect,
  outputOption,
} from './connection.ts';

type Changing = ConnectionOptions & { timeout: string; output: string };

export function configure(command: Command): void {
  const child = (name: string, description: string) =>
    addConnectionOptions(command.command(name).description(description).helpOption('--help', 'show help'));
  child('members', 'who is who, and how much they hold; exit code 1 when one does not answer or raises an alarm')
    .addOption(outputOption())
    .action(members);
  addOutputOptions(child('repair', 'replace members that lost their data; the others have it'))
    .option('--yes', 'do not ask')
    .option('--timeout <TIME>', 'how long each member may take', '5m')
    .addOption(outputOption())
    .action(repair);
  addOutputOptions(child('defrag', 'give free space of the database back, and allow writes again after an alarm'))
    .option('--timeout <TIME>', 'how long each member may take', '5m')
    .addOption(outputOption())
    .action(defrag);
}

async function members(options: ConnectionOptions & { output: string }): Promise<void> {
  const cluster = connect(options);
  try {
    const found = await etcdMembers(cluster);
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(found, null, 2)}\n` : `${render(found)}\n`);
    if (found.some(({ role, alarms }) => role === 'silent' || role === 'unknown' || alarms.length > 0))
      process.exitCode = 1;
  } finally {
    await cluster.close();
  }
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
  await changing(options, async (cluster, work) => {
    const lost = (await lostMembers(cluster)).map(({ name }) => name);
    if (lost.length === 0) work.reporter.line('Nothing to repair: all members answer.');
    else {
      const question = `replace ${lost.join(', ')} in namespace "${cluster.namespace}"`;
      if (!options.yes) await confirm(question, 'What is on their volumes is deleted; the others have it.');
      await repairMembers(cluster, lost, work);
      work.reporter.line(`Replaced: ${lost.join(', ')}.`);
    }
    if (options.output === 'json') process.stdout.write(`${JSON.stringify({ replaced: lost }, null, 2)}\n`);
  });
}

async function defrag(options: Changing): Promise<void> {
  await changing(options, async (cluster, work) => {
    const found = await defragment(cluster, work);
    for (const { name, before, after } of found)
      work.reporter.line(`${name}: ${mebibytes(before)} MiB before, ${mebibytes(after)} MiB now`);
    if (options.output === 'json') process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  });
}
