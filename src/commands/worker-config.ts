import { type Command, Option } from 'commander';
import { renderWorkerConfig, workerConfig } from '../access/worker-config.ts';
import { workerScript } from '../access/worker-script.ts';
import { lifetimeOf, readLifetimeJob } from '../live/lifetime.ts';
import { openPlane } from '../live/open.ts';
import { planeSelector } from '../plane/names.ts';
import {
  addConnectionOptions,
  type ConnectionOptions,
  outputOption,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command)
    .addOption(new Option('--script', 'print worker.sh, as deploy writes it').conflicts('output'))
    .addOption(outputOption())
    .action(run);
}

async function run(options: ConnectionOptions & { output: string; script?: boolean }): Promise<void> {
  await withInfra(options, async (cluster) => {
    const [{ spec, addresses, record }, job] = await Promise.all([openPlane(cluster), readLifetimeJob(cluster)]);
    if (options.script) {
      process.stdout.write(workerScript(spec, addresses));
      return;
    }
    const endsAt = lifetimeOf(job)?.endsAt;
    if (endsAt !== undefined)
      reporterOf(options).warn(
        `the plane ends at ${endsAt}: its workers go on running their pods then, until somebody stops them, and find no API server`,
      );
    const pods = await cluster.pods(planeSelector(record.planeId));
    const infraNodes = [...new Set(pods.items.flatMap(({ status }) => status?.hostIP ?? []))].sort();
    const config = workerConfig(spec, addresses, infraNodes);
    print(options, config, renderWorkerConfig);
  });
}
