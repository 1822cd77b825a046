import type { Command } from 'commander';
import { messageOf } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { knownMinors } from '../config/versions.ts';
import { addConnectionOptions, type ConnectionOptions, contextOf, outputOption } from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).addOption(outputOption()).action(run);
}

async function run(options: ConnectionOptions & { output: string }): Promise<void> {
  const own = { k8sk8s: toolVersion(), node: process.version, kubernetes: knownMinors.map(({ patch }) => patch) };
  const infra = await infraVersion(options);
  print(options, { ...own, infra }, ({ k8sk8s, node, kubernetes }) =>
    [
      `k8sk8s:        v${k8sk8s} (node ${node})`,
      `knows:         Kubernetes ${kubernetes.join(', ')}`,
      `infra cluster: ${infra.version ?? `not known: ${infra.problem}`}`,
    ].join('\n'),
  );
}

/** The version of the infra cluster, or why it is not known: no reason for this command to fail. */
async function infraVersion(options: ConnectionOptions): Promise<{ version?: string; problem?: string }> {
  const { connectInfra } = await import('../kube/connect.ts');
  try {
    const cluster = connectInfra(contextOf(options).connection, options.namespace ?? 'default');
    const { gitVersion } = await cluster.version();
    await cluster.close();
    return { version: gitVersion };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
