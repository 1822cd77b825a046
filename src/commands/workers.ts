import { type Command, InvalidArgumentError } from 'commander';
import { cordonWorker, listWorkers, removeWorker, type Worker } from '../operations/workers/nodes.ts';
import { scaleWorkers } from '../operations/workers/scale.ts';
import { formatAge } from '../ui/age.ts';
import { table } from '../ui/table.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
  runChange,
} from './options/connection.ts';
import { inPlane } from './options/in-plane.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addOutputOptions(addPlaneCommand(command, 'scale', 'change how many workers are pods of the infra cluster'))
    .argument('<N>', 'how many; those that are too many are drained first', count)
    .option('--timeout <TIME>', 'how long the drain of each worker may take', '5m')
    .addOption(outputOption())
    .action(scale);
  addPlaneCommand(command, 'list', 'show the workers: version, address, age, and certificates that wait for an answer')
    .addOption(outputOption())
    .action(list);
  addPlaneCommand(command, 'cordon', 'let no new pods go to a worker')
    .argument('<NAME>', 'name of the Node')
    .option('--undo', 'let them go there again')
    .action(close);
  addOutputOptions(addPlaneCommand(command, 'remove', 'drain a worker and delete its Node'))
    .argument('<NAME>', 'name of the Node')
    .option('--timeout <TIME>', 'how long the drain may take', '5m')
    .action(remove);
}

async function list(options: ConnectionOptions & { output: string }): Promise<void> {
  await inPlane(options, async (_, hosted) => {
    const workers = await listWorkers(hosted);
    print(options, workers, () => (workers.length === 0 ? 'No workers.' : rendered(workers)));
  });
}

function rendered(workers: Worker[]): string {
  return table(
    ['NAME', 'STATE', 'VERSION', 'ADDRESS', 'AGE', 'UNANSWERED CERTIFICATES'],
    workers.map(({ name, ready, problem, cordoned, version, address, made, waiting }) => [
      name,
      `${ready ? 'Ready' : `not Ready: ${problem}`}${cordoned ? ', cordoned' : ''}`,
      version,
      address,
      formatAge(Date.now() - Date.parse(made)),
      waiting.join(', '),
    ]),
  );
}

async function close(name: string, options: ConnectionOptions & { undo?: boolean }): Promise<void> {
  await inPlane(options, async (_, hosted) => {
    await cordonWorker(hosted, name, !options.undo);
    process.stderr.write(options.undo ? `pods go to ${name} again\n` : `no new pods go to ${name}\n`);
  });
}

async function remove(name: string, options: ConnectionOptions & { timeout: string }): Promise<void> {
  const work = { reporter: reporterOf(options), timeout: parseDuration(options.timeout, '--timeout') };
  const signal = interruption();
  await inPlane(options, async (_, hosted) => {
    const { ready } = await removeWorker(hosted, name, { ...work, signal });
    work.reporter.line(`${name} is no Node any more`);
    if (ready)
      work.reporter.line(
        'Its kubelet still runs, and would make the Node again at its next start. On the machine: sh /etc/kubernetes/tls/worker.sh leave',
      );
  });
}

function count(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError(`"${text}" has to be a number from 0 to 100.`);
  return Number(text);
}

async function scale(wanted: number, options: ConnectionOptions & { timeout: string; output: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
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
