#!/usr/bin/env node
import { Command } from 'commander';
import { toolVersion } from './base/version.ts';
import { keepPrintable } from './ui/printable.ts';

/** A command's module adds its own options and action; it is imported when its name is on the command line. */
interface CommandModule {
  configure(command: Command): void;
}

const commands: [name: string, description: string, load: () => Promise<CommandModule>][] = [
  ['deploy', 'create or repair a hosted control plane in a namespace', () => import('./commands/deploy.ts')],
  ['upgrade', 'upgrade a plane to another Kubernetes version', () => import('./commands/upgrade.ts')],
  ['destroy', 'delete a plane, and nothing else', () => import('./commands/destroy.ts')],
  ['preflight', 'check everything that deploy needs, and change nothing', () => import('./commands/preflight.ts')],
  ['sleep', 'stop the pods of a plane and keep its data', () => import('./commands/sleep.ts')],
  ['wake', 'start the pods of a sleeping plane again', () => import('./commands/wake.ts')],
  ['status', 'show the state of a plane; exit code 1 when something is wrong', () => import('./commands/status.ts')],
  ['backup', 'make, check and list backups of planes', () => import('./commands/backup.ts')],
  ['restore', 'restore a plane from a backup', () => import('./commands/restore.ts')],
  ['diff', 'show drift from what was deployed; exit code 1 when something differs', () => import('./commands/diff.ts')],
  ['class', 'a plane for every student of a roster', () => import('./commands/class.ts')],
  ['list', 'planes in the namespaces that you may read', () => import('./commands/list.ts')],
  ['logs', "the log of a plane's component", () => import('./commands/logs.ts')],
  ['connect', 'a command, a shell or a context that speaks to a hosted cluster', () => import('./commands/connect.ts')],
  ['kubeconfig', "write a plane's kubeconfig, or merge it into another", () => import('./commands/kubeconfig.ts')],
  ['user', 'kubeconfigs for people and programs, short-lived and with few rights', () => import('./commands/user.ts')],
  ['token', 'bootstrap tokens for new workers', () => import('./commands/token.ts')],
  ['certs', "a plane's certificates: when they expire, and new ones", () => import('./commands/certs.ts')],
  ['encrypt', "the encryption of the hosted cluster's Secrets in etcd", () => import('./commands/encrypt.ts')],
  ['etcd', "the members of a plane's etcd", () => import('./commands/etcd.ts')],
  ['host', 'earlier host names of a plane', () => import('./commands/host.ts')],
  [
    'workers',
    'the workers of a plane: list, cordon, remove, and those that are pods',
    () => import('./commands/workers.ts'),
  ],
  ['network', 'the network between pods of the hosted cluster', () => import('./commands/network.ts')],
  ['worker-config', 'print what a worker needs to join', () => import('./commands/worker-config.ts')],
  ['adopt', 'let a plane follow its HostedControlPlane', () => import('./commands/adopt.ts')],
  ['release', 'take a plane from the operator, and keep it', () => import('./commands/release.ts')],
  ['images', 'the images that a hosted cluster needs', () => import('./commands/images.ts')],
  ['operator', 'planes as objects of the infra cluster', () => import('./commands/operator.ts')],
  ['sandbox', 'an infra cluster and worker machines on this Linux box', () => import('./commands/sandbox.ts')],
  ['version', 'versions of k8sk8s and of the infra cluster', () => import('./commands/version.ts')],
];

async function main(argv: string[]): Promise<void> {
  // Colours go to stderr alone.
  keepPrintable(process.stdout);
  const program = new Command('k8sk8s')
    .description('Kubernetes control planes on demand, inside any namespace that you may write to')
    // -h is the host, as it always was.
    .helpOption('--help', 'show help')
    .helpCommand(false)
    .version(toolVersion(), '--version', 'show the version of k8sk8s')
    .configureHelp({ showGlobalOptions: false })
    .showSuggestionAfterError(true);
  const wanted = argv.find((argument) => !argument.startsWith('-'));
  for (const [name, description, load] of commands) {
    const command = program.command(name).description(description).helpOption('--help', 'show help').helpCommand(false);
    if (name === wanted) (await load()).configure(command);
  }
  program.addHelpText('after', firstSteps);
  tellUsageErrors(program, 'k8sk8s');
  await program.parseAsync(argv, { from: 'user' });
}

/** Usage errors are written once, by report.ts, in the same form as all others, and know whose --help helps. */
function tellUsageErrors(command: Command, path: string): void {
  command.configureOutput({ outputError: () => undefined });
  command.exitOverride((error) => {
    throw Object.assign(error, { usageOf: path });
  });
  for (const child of command.commands) tellUsageErrors(child, `${path} ${child.name()}`);
}

const firstSteps = `
Begin with:  k8sk8s deploy -h HOST -n NAMESPACE     (without an infra cluster at hand: k8sk8s sandbox up)
Then:        k8sk8s status -n NAMESPACE, k8sk8s worker-config -n NAMESPACE
Every command has --help. What an error means, and what to do: docs/checks.md`;

/** `k8sk8s help COMMAND` is `k8sk8s COMMAND --help`. */
function withoutHelpCommand(argv: string[]): string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
}

main(withoutHelpCommand(process.argv.slice(2))).catch(async (error: unknown) => {
  const { reportError } = await import('./commands/options/report.ts');
  process.exitCode = reportError(error, process.argv.slice(2));
});
