import type { Command } from 'commander';
import { sleepPlane } from '../operations/sleep.ts';
import { addConnectionOptions, addOutputOptions, type ConnectionOptions, changing } from './options/connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).option('--timeout <TIME>', 'how long it may take until the pods are gone', '2m');
  addOutputOptions(command).action(run);
}

async function run(options: ConnectionOptions & { timeout: string }): Promise<void> {
  await changing(options, async (cluster, work) => {
    work.reporter.line(
      (await sleepPlane(cluster, work))
        ? `The plane sleeps: its pods are gone, its data is kept. Wake it with: k8sk8s wake -n ${cluster.namespace}`
        : `Nothing to do: the plane in namespace "${cluster.namespace}" sleeps already.`,
    );
  });
}
