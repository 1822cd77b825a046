import { type Command, Option } from 'commander';
import { type NetworkTestResult, testNetwork } from '../operations/network-test/network-test.ts';
import { junit } from '../ui/junit.ts';
import { table } from '../ui/table.ts';
import { addOutputOptions, addPlaneCommand, type ConnectionOptions, runChange } from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addOutputOptions(addPlaneCommand(command, 'test', 'try the network of the hosted cluster from pods on its workers'))
    .option('--image <IMAGE>', "image of agnhost instead of upstream's, or its mirror")
    .option('--timeout <TIME>', 'how long the pods of the test may take to start', '3m')
    .addOption(
      new Option('--output <FORMAT>', 'text, json or junit').choices(['text', 'json', 'junit']).default('text'),
    )
    .action(run);
}

async function run(options: ConnectionOptions & { image?: string; timeout: string; output: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const result = await testNetwork(cluster, { image: options.image }, work);
    if (options.output === 'junit') process.stdout.write(junitOf(result, cluster.namespace));
    else print(options, result, () => render(result));
    if (!result.passed) process.exitCode = 1;
  });
}

const cause = ({ because, detail }: { because?: string; detail: string }) =>
  because ? `follows from ${because}: ${detail}` : detail;

/** Pure. */
function render({ network, workers, rows, leftOut }: NetworkTestResult): string {
  const lines = rows.map((each) => [each.row, each.state, `${each.seconds.toFixed(1)} s`, cause(each)]);
  const first = rows.find(({ state }) => state === 'failed');
  return [
    `Network ${network}, on ${workers.join(' and ')}`,
    '',
    table(['ROW', 'STATE', 'TOOK', 'SEEN'], lines),
    ...(leftOut.length > 0 ? ['', `Left out, since they need two workers: ${leftOut.join(', ')}`] : []),
    '',
    first ? `Failed. Begin with ${first.row}: ${first.detail}` : 'Nothing failed.',
  ].join('\n');
}

function junitOf({ network, rows, leftOut }: NetworkTestResult, namespace: string): string {
  return junit(`network test of ${namespace}, ${network}`, [
    ...rows.map((each) => ({
      name: each.row,
      seconds: each.seconds,
      ...(each.state === 'failed' && { failure: cause(each) }),
      ...(each.state === 'not supported' && { skipped: `not supported: ${each.detail}` }),
    })),
    ...leftOut.map((row) => ({ name: row, seconds: 0, skipped: 'needs two workers' })),
  ]);
}
