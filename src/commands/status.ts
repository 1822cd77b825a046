import type { Command } from 'commander';
import { type PlaneStatus, planeStatus, problemsOf } from '../status.ts';
import { table } from '../ui/table.ts';
import { addConnectionOptions, type ConnectionOptions, connect, outputOption } from './connection.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).addOption(outputOption()).action(run);
}

async function run(options: ConnectionOptions & { output: string }): Promise<void> {
  const cluster = connect(options);
  try {
    const status = await planeStatus(cluster);
    const problems = problemsOf(status);
    process.stdout.write(
      options.output === 'json'
        ? `${JSON.stringify({ ...status, healthy: problems.length === 0, problems }, null, 2)}\n`
        : `${render(status, problems)}\n`,
    );
    if (problems.length > 0) process.exitCode = 1;
  } finally {
    await cluster.close();
  }
}

function render(status: PlaneStatus, problems: string[]): string {
  const ready = status.hosted.workers.filter((worker) => worker.ready).length;
  const nearest = status.certificates[0];
  const facts: [string, string][] = [
    ['Plane', `${status.host} in namespace ${status.namespace}, Kubernetes ${status.version}`],
    ['Health', problems.length === 0 ? 'healthy' : problems.join('\n              ')],
    ['Address', `${status.server} (workers: ${status.workerServer}, node port ${status.nodePort})`],
    ['Storage', `${status.storage.kind}: ${status.storage.loses}`],
    [
      'Certificates',
      nearest
        ? `${status.certificates.length}, the first to expire is ${nearest.name} in ${nearest.days} days`
        : 'none',
    ],
    [
      'Workers',
      status.hosted.answers ? `${ready} of ${status.hosted.workers.length} Ready` : 'unknown, the API does not answer',
    ],
    ['Limits', status.limits.join('\n              ')],
  ];
  const components = table(
    ['COMPONENT', 'READY', 'RESTARTS', 'NODE', 'IMAGE'],
    status.components.map((each) => [
      each.name,
      each.ready ? 'yes' : 'no',
      String(each.restarts),
      each.node,
      each.image,
    ]),
  );
  const workers = table(
    ['WORKER', 'READY', 'VERSION', 'ADDRESS'],
    status.hosted.workers.map((worker) => [worker.name, worker.ready ? 'yes' : 'no', worker.version, worker.address]),
  );
  return [
    ...facts.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}`),
    '',
    components,
    ...(status.hosted.workers.length > 0 ? ['', workers] : []),
    ...(status.warnings.length > 0 ? ['', 'Last warnings (UTC):', ...status.warnings.map((line) => `  ${line}`)] : []),
  ].join('\n');
}
