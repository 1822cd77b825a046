import { type Command, Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import { connectInfra } from '../../kube/connect.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type ChosenContext, chooseContext } from '../../kubeconfig/choose.ts';
import type { KubeconfigChoice } from '../../kubeconfig/load.ts';
import { ownSurroundings } from '../../kubeconfig/surroundings.ts';
import { readSealFile } from '../../live/sealed-ca.ts';
import { reservedNamespaces } from '../../plane/names.ts';
import type { Reporter } from '../../ui/reporter.ts';
import { terminalReporter } from '../../ui/terminal.ts';
import type { Work } from '../../ui/work.ts';
import { thisProcess } from './this-process.ts';

/** Options that say which infra cluster and namespace, and how much to print. */
export interface ConnectionOptions extends KubeconfigChoice {
  namespace?: string;
  sealFile?: string;
  /** This runs in a pod of the infra cluster, which may not know the public name. */
  byService?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

export function addConnectionOptions(command: Command): Command {
  return command
    .option('-n, --namespace <NAMESPACE>', 'namespace of the infra cluster; default: the one of the context')
    .option('--kubeconfig <FILE>', 'kubeconfig of the infra cluster; default KUBECONFIG or ~/.kube/config')
    .option('--context <NAME>', 'context of the kubeconfig; default its current one')
    .addOption(
      new Option('--seal-file <FILE>', "what opens a sealed key of the plane's CA: see --seal of deploy").env(
        'K8SK8S_SEAL_FILE',
      ),
    );
}

/** One of a command's own commands, which works on the plane of a namespace. */
export function addPlaneCommand(parent: Command, name: string, description: string): Command {
  return addConnectionOptions(parent.command(name).description(description).helpOption('--help', 'show help'));
}

export function addOutputOptions(command: Command): Command {
  return command.option('--quiet', 'only warnings and errors').option('--verbose', 'say more about every step');
}

/** Collects an option that may be given several times. */
export function repeated(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** For commands that have data: text for people, json for programs. */
export function outputOption(): Option {
  return new Option('--output <FORMAT>', 'text or json').choices(['text', 'json']).default('text');
}

/** The infra cluster that the options lead to, in this process's surroundings. @throws UserError (kind `usage`) */
export function contextOf(options: ConnectionOptions): ChosenContext {
  return chooseContext(
    options,
    ownSurroundings((sentence) => process.stderr.write(`${sentence}\n`)),
  );
}

/** Opens the infra cluster in the chosen namespace. @throws UserError (kind `usage`) */
export function connect(options: ConnectionOptions): InfraCluster {
  const context = contextOf(options);
  const namespace = options.namespace ?? context.namespace;
  if (namespace === undefined) {
    throw new UserError({
      what: 'no namespace was given, and the context of the kubeconfig names none',
      fix: 'add -n NAMESPACE',
      anchor: 'namespace',
      kind: 'usage',
    });
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw new UserError({
      what: `--namespace "${namespace}" is not a namespace name`,
      why: 'it has at most 63 lower-case letters, digits and -, and begins and ends with a letter or digit',
      fix: 'correct it',
      anchor: 'namespace',
      kind: 'usage',
    });
  }
  if (reservedNamespaces.includes(namespace)) {
    throw new UserError({
      what: `namespace "${namespace}" belongs to the infra cluster itself`,
      why: 'a plane there would share its Secrets and rights with the cluster that carries it',
      fix: 'use a namespace of its own',
      anchor: 'namespace',
      kind: 'usage',
    });
  }
  return connectInfra(context.connection, namespace, {
    sealKey: options.sealFile === undefined ? undefined : readSealFile(options.sealFile),
    actor: thisProcess(),
    hostedBy: options.byService ? 'service' : 'address',
  });
}

export function reporterOf(options: ConnectionOptions): Reporter {
  return terminalReporter({ quiet: options.quiet, verbose: options.verbose });
}

/** Fires on the first SIGINT or SIGTERM; a second one ends the process as usual. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      controller.abort(
        new UserError({
          what: `interrupted by ${name}`,
          fix: 'run the same command again; it goes on where it stopped',
          anchor: 'interrupted',
        }),
      );
    });
  }
  return controller.signal;
}

/** Opens the infra cluster for `work`, and closes the connection in the end. */
export async function withInfra<T>(
  options: ConnectionOptions,
  work: (cluster: InfraCluster) => Promise<T>,
): Promise<T> {
  const cluster = connect(options);
  try {
    return await work(cluster);
  } finally {
    await cluster.close();
  }
}

/** Runs a command that changes a plane. */
export async function runChange(
  options: ConnectionOptions & { timeout: string },
  change: (cluster: InfraCluster, work: Work) => Promise<void>,
): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const reporter = reporterOf(options);
  await withInfra(options, (cluster) => change(cluster, { reporter, timeout, signal }));
}

/** Seconds, or a number with s, m or h, as milliseconds. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const value = match ? Number(match[1]) * units[(match[2] ?? 's') as keyof typeof units] : 0;
  if (value <= 0)
    throw new UserError({
      what: `${option} "${text}" is not a length of time`,
      fix: 'write for example 90s, 5m or 24h',
      anchor: 'bad-values',
      kind: 'usage',
    });
  return value;
}
