import type { Command } from 'commander';
import { followsObject } from '../live/followed.ts';
import { wakePlane } from '../operations/sleep.ts';
import { wakeByObject } from '../operator/by-object.ts';
import { formatDuration } from '../ui/reporter.ts';
import { addConnectionOptions, addOutputOptions, type ConnectionOptions, runChange } from './options/connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command)
    .option('--timeout <TIME>', 'how long the plane may take to answer', '5m')
    .option('--by-service', 'in a pod of the infra cluster: reach the API server by its service');
  addOutputOptions(command).action(run);
}

async function run(options: ConnectionOptions & { timeout: string }): Promise<void> {
  const started = performance.now();
  await runChange(options, async (cluster, work) => {
    const server = (await followsObject(cluster))
      ? (await wakeByObject(cluster, work)).status?.server
      : await wakePlane(cluster, work);
    work.reporter.line(
      server
        ? `The hosted cluster is at ${server} again (${formatDuration(performance.now() - started)}). Its workers come back by themselves.`
        : `Nothing to do: the plane in namespace "${cluster.namespace}" is awake.`,
    );
  });
}
