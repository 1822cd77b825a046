import type { Command } from 'commander';
import { releasePlane } from '../operations/adopt.ts';
import { addConnectionOptions, addOutputOptions, type ConnectionOptions, runChange } from './options/connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).option('--timeout <TIME>', 'how long it may take, an operator at work included', '2m');
  addOutputOptions(command).action(run);
}

async function run(options: ConnectionOptions & { timeout: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const { namespace } = cluster;
    work.reporter.line(
      (await releasePlane(cluster, work))
        ? `The plane is the command line's now, and does not go with its object. The object itself: kubectl -n ${namespace} delete hcp k8sk8s`
        : `Nothing to do: the plane in namespace "${namespace}" follows no object.`,
    );
  });
}
