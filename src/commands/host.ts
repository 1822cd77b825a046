import type { Command } from 'commander';
import { dropHost } from '../operations/drop-host.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  outputOption,
  runChange,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addOutputOptions(addPlaneCommand(command, 'drop', 'drop an earlier name of the plane; status shows who dials it'))
    .argument('<HOST>', 'the earlier name')
    .option('--yes', 'also when workers still dial it or cannot be asked: these are locked out')
    .option('--timeout <TIME>', 'how long the API server may take', '5m')
    .addOption(outputOption())
    .action(drop);
}

async function drop(
  host: string,
  options: ConnectionOptions & { timeout: string; output: string; yes?: boolean },
): Promise<void> {
  await runChange(options, async (cluster, work) => {
    await dropHost(cluster, { host, evenIfDialled: options.yes ?? false }, work);
    print(options, { dropped: host }, () => work.reporter.line(`The plane does not answer at ${host} any more.`));
  });
}
