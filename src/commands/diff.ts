import type { Command } from 'commander';
import { toolVersion } from '../base/version.ts';
import { diffPlane, renderDiff } from '../drift/plane-diff.ts';
import { addConnectionOptions, type ConnectionOptions, connect, outputOption } from './options/connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).addOption(outputOption()).action(run);
}

/** Exit code 1 when something differs, or could not be compared. */
async function run(options: ConnectionOptions & { output: string }): Promise<void> {
  const cluster = connect(options);
  try {
    const diff = await diffPlane(cluster);
    process.stdout.write(
      options.output === 'json' ? `${JSON.stringify(diff, null, 2)}\n` : `${renderDiff(diff, toolVersion())}\n`,
    );
    if (diff.differences.length > 0 || diff.unknown !== undefined) process.exitCode = 1;
  } finally {
    await cluster.close();
  }
}
