import type { Command } from 'commander';
import { sleepPlane } from '../sleep.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  interruption,
  parseDuration,
  reporterOf,
} from './connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).option('--timeout <TIME>', 'how long it may take until the pods are gone', '2m');
  addOutputOptions(command).action(run);
}

async function run(options: ConnectionOptions & { timeout: string }): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const reporter = reporterOf(options);
  const cluster = connect(options);
  try {
    reporter.line(
      (await sleepPlane(cluster, { reporter, timeout, signal }))
        ? `The plane sleeps: its pods are gone, its data is kept. Wake it with: k8sk8s wake -n ${cluster.namespace}`
        : `Nothing to do: the plane in namespace "${cluster.namespace}" sleeps already.`,
    );
  } finally {
    await cluster.close();
  }
}
