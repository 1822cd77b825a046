import type { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import { chooseSpecFor } from '../operations/deploy/spec-choice.ts';
import { renderResult, summary } from '../preflight/render.ts';
import { assess } from '../preflight/run.ts';
import { chooseSpec } from './options/chosen-spec.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  outputOption,
  reporterOf,
} from './options/connection.ts';
import { addSpecOptions } from './options/spec-options.ts';

export function configure(command: Command): void {
  addSpecOptions(command);
  addConnectionOptions(command)
    .option('-f, --file <FILE>', 'read options from a cluster.yaml; those of the command line win')
    .option('--reset <OPTION...>', 'options to take back to their defaults, by name, instead of keeping them')
    .addOption(outputOption());
  addOutputOptions(command).action(async (_, self: Command) => run(self));
}

async function run(command: Command): Promise<void> {
  const options = command.opts<ConnectionOptions & { file?: string; output: string }>();
  const { completeIn, local } = chooseSpec(command, options.file);
  const cluster = connect({ ...options, ...local });
  try {
    const { spec } = await chooseSpecFor(cluster, completeIn(cluster.namespace));
    const results = await assess(cluster, spec);
    const failed = results.filter(({ severity, outcome }) => severity === 'fatal' && outcome.state === 'failed');
    if (options.output === 'json') {
      process.stdout.write(`${JSON.stringify({ ok: failed.length === 0, checks: results }, null, 2)}\n`);
      if (failed.length > 0) process.exitCode = 2;
      return;
    }
    for (const each of results) renderResult(each, reporterOf(options));
    if (failed.length > 0) throw new UserError(summary(failed));
  } finally {
    await cluster.close();
  }
}
