import type { Command } from 'commander';
import hostPolicies from '../../templates/rights/hosts.yaml';
import { chooseSpecFor } from '../operations/deploy/spec-choice.ts';
import { runDeployChecks } from '../preflight/deploy-checks.ts';
import { demandPassed, failures } from '../preflight/run.ts';
import { chooseSpec } from './options/chosen-spec.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  outputOption,
  reporterOf,
} from './options/connection.ts';
import { print } from './options/print.ts';
import { addSpecOptions } from './options/spec-options.ts';

export function configure(command: Command): void {
  addSpecOptions(command);
  addConnectionOptions(command)
    .option('-f, --file <FILE>', 'read options from a cluster.yaml; those of the command line take precedence')
    .option('--reset <OPTION...>', 'options to reset to their defaults, by name, instead of keeping them')
    .option(
      '--export-policy',
      'print the admission policies by which an administrator of the infra cluster gives each HOST to its namespaces, and check nothing',
    )
    .addOption(outputOption());
  addOutputOptions(command).action(async (_, self: Command) => run(self));
}

async function run(command: Command): Promise<void> {
  const options = command.opts<ConnectionOptions & { file?: string; output: string; exportPolicy?: boolean }>();
  if (options.exportPolicy) {
    process.stdout.write(hostPolicies);
    return;
  }
  const { completeIn, local } = chooseSpec(command, options.file);
  const cluster = connect({ ...options, ...local });
  try {
    const { spec } = await chooseSpecFor(cluster, completeIn(cluster.namespace));
    const results = await runDeployChecks(cluster, spec);
    const ok = failures(results).length === 0;
    print(options, { ok, checks: results }, ({ checks }) => demandPassed(checks, reporterOf(options)));
    if (!ok) process.exitCode = 2;
  } finally {
    await cluster.close();
  }
}
