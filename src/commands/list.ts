import type { Command } from 'commander';
import { listPlanes } from '../operations/list.ts';
import { formatAge } from '../ui/age.ts';
import { printable } from '../ui/printable.ts';
import { table } from '../ui/table.ts';
import { inTerminal } from '../ui/words.ts';
import { addConnectionOptions, type ConnectionOptions, contextOf, outputOption } from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).addOption(outputOption()).action(run);
}

async function run(options: ConnectionOptions & { output: string }): Promise<void> {
  const { planes, searched } = await listPlanes(contextOf(options), options.namespace);
  print(options, { searched, planes }, () => {
    process.stderr.write(`Searched: ${searched}\n`);
    if (planes.length === 0) return 'No planes.';
    return table(
      ['NAMESPACE', 'HOST', 'VERSION', 'HEALTH', 'ENDS', 'PLANE', 'WHAT IS NOT WELL'],
      planes.map(({ namespace, host, version, health, endsAt, plane, findings: [first, ...others] }) => [
        namespace,
        host,
        version,
        health,
        endOf(endsAt, new Date()),
        plane,
        first ? printable(`${inTerminal(first.what)}${others.length > 0 ? ` (and ${others.length} more)` : ''}`) : '',
      ]),
    );
  });
}

function endOf(endsAt: string | undefined, now: Date): string {
  return endsAt === undefined ? '' : `in ${formatAge(Date.parse(endsAt) - now.getTime())}`;
}
