import { type Command, InvalidArgumentError } from 'commander';
import { scaleWorkers } from '../operations/workers/scale.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  changing,
  outputOption,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addOutputOptions(addPlaneCommand(command, 'scale', 'change how many workers are pods of the infra cluster'))
    .argument('<N>', 'how many; those that are too many are drained first', count)
    .option('--timeout <TIME>', 'how long the drain of each worker may take', '5m')
    .addOption(outputOption())
    .action(scale);
}

function count(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError(`"${text}" has to be a number from 0 to 100.`);
  return Number(text);
}

async function scale(wanted: number, options: ConnectionOptions & { timeout: string; output: string }): Promise<void> {
  await changing(options, async (cluster, work) => {
    const result = await scaleWorkers(cluster, wanted, work);
    const { before, workerPods, ready, applied } = result;
    const nothing = before === workerPods && applied.created.length + applied.changed.length === 0;
    print(options, result, () =>
      work.reporter.line(
        nothing
          ? `Nothing to do: the plane has ${workerPods} worker pods.`
          : `Worker pods: ${before} before, ${workerPods} now.`,
      ),
    );
    if (!ready) process.exitCode = 1;
  });
}
