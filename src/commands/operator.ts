import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { UserError } from '../base/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import {
  accountObjects,
  addHosts,
  applyObjects,
  installOperator,
  namespaceWithHosts,
  objectsOfAll,
  operatorObjects,
  uninstall,
} from '../operator/install.ts';
import { operatorNamespace } from '../operator/names.ts';
import { runOperator } from '../operator/run.ts';
import { type OperatorStatus, operatorStatus } from '../operator/status.ts';
import { printable } from '../ui/printable.ts';
import { table } from '../ui/table.ts';
import { confirm } from './options/confirm.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  contextOf,
  interruption,
  outputOption,
  parseDuration,
  repeated,
  reporterOf,
} from './options/connection.ts';
import { print } from './options/print.ts';
import { thisProcess } from './options/this-process.ts';

interface InstallOptions extends ConnectionOptions {
  image?: string;
  export?: boolean;
  host?: string[];
}

interface RunOptions extends ConnectionOptions {
  hostedBy?: 'address' | 'service';
  workers: string;
  timeout: string;
  every: string;
  backupPatience: string;
  port?: string;
}

interface UninstallOptions extends ConnectionOptions {
  destroyPlanes?: boolean;
  yes?: boolean;
  timeout: string;
}

export function configure(command: Command): void {
  const part = (name: string, description: string) =>
    addConnectionOptions(command.command(name).description(description).helpOption('--help', 'show help'));
  addOutputOptions(
    part('install', 'as an administrator: make the CustomResourceDefinition, and what the operator may do'),
  )
    .option('--image <IMAGE>', 'image of k8sk8s, in which the operator runs as a Deployment; without it, none is made')
    .option('--export', 'only print the objects')
    .action(install);
  addOutputOptions(part('allow', 'as an administrator: let the operator work in a namespace'))
    .option(
      '--host <PATTERN>',
      'a HOST that belongs to the namespace, or *.DOMAIN for every name below; may be repeated',
      repeated,
    )
    .option('--export', 'only print the objects')
    .action(allow);
  part('run', 'run the operator until a signal ends it')
    .option('--hosted-by <HOW>', 'dial hosted APIs by their address or by their service; default in a pod: service')
    .option('--workers <N>', 'how many planes it works on at a time', '3')
    .option('--timeout <TIME>', 'how long each step of a plane may take', '5m')
    .option('--every <TIME>', 'how often a plane without events is compared', '1h')
    .option(
      '--backup-patience <TIME>',
      'how long a deleted object waits for its last backup (deletionPolicy: Backup)',
      '10m',
    )
    .option('--port <PORT>', 'port of /metrics, /livez and /readyz; without it, none is opened')
    .action(run);
  part('status', 'show whether the operator works, and the state of its planes')
    .addOption(outputOption())
    .action(status);
  addOutputOptions(part('uninstall', 'remove the operator; planes, their objects and the definition stay'))
    .option('--destroy-planes', 'delete every HostedControlPlane too, and its plane')
    .option('--yes', 'do not ask')
    .option('--timeout <TIME>', 'how long each plane may take to go', '3m')
    .action(remove);
}

async function withWhole(options: ConnectionOptions, work: (cluster: WholeCluster) => Promise<void>): Promise<void> {
  const cluster = connectWhole(contextOf(options).connection);
  try {
    await work(cluster);
  } finally {
    await cluster.close();
  }
}

function printYaml(objects: KubeObject[]): void {
  process.stdout.write(objects.map((object) => `---\n${dump(object, { lineWidth: -1, noRefs: true })}`).join(''));
}

async function install(options: InstallOptions): Promise<void> {
  const { namespace = operatorNamespace, image } = options;
  if (options.export) return printYaml(operatorObjects(namespace, image));
  await withWhole(options, (cluster) => installOperator(cluster, namespace, image, reporterOf(options)));
}

async function allow(options: InstallOptions): Promise<void> {
  const { namespace } = options;
  if (namespace === undefined)
    throw new UserError({
      what: 'no namespace was given that the operator is to work in',
      fix: 'add -n NAMESPACE',
      anchor: 'namespace',
      kind: 'usage',
    });
  const { host = [] } = options;
  for (const each of host) checkPattern(each);
  const objects = accountObjects(namespace);
  if (options.export) {
    // Without --export, they are added.
    if (host.length > 0) process.stdout.write(`# These HOSTs take the place of those that ${namespace} has.\n`);
    return printYaml([...(host.length > 0 ? [namespaceWithHosts(namespace, host)] : []), ...objects]);
  }
  await withWhole(options, async (cluster) => {
    await applyObjects(cluster, objects, reporterOf(options));
    if (host.length > 0) await addHosts(cluster, namespace, host, reporterOf(options));
  });
}

/** @throws UserError `bad-values` */
function checkPattern(pattern: string): void {
  if (/^(\*\.)?[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/.test(pattern)) return;
  throw new UserError({
    what: `--host "${pattern}" is neither a host name nor *.DOMAIN`,
    fix: 'give lower-case names, such as team-a.example.com or *.team-a.example.com',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

async function run(options: RunOptions): Promise<void> {
  const { connection } = contextOf(options);
  const ended = runOperator({
    connection,
    namespace: options.namespace ?? process.env.POD_NAMESPACE ?? operatorNamespace,
    identity: `operator ${thisProcess().name}`,
    hostedBy: options.hostedBy ?? (process.env.POD_NAMESPACE === undefined ? 'address' : 'service'),
    workers: wholeNumber(options.workers, '--workers', 100),
    timeout: parseDuration(options.timeout, '--timeout'),
    every: parseDuration(options.every, '--every'),
    backupPatience: parseDuration(options.backupPatience, '--backup-patience'),
    port: options.port === undefined ? undefined : wholeNumber(options.port, '--port', 65_535),
    signal: interruption(),
    log: (entry) => process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`),
  });
  try {
    await ended;
  } finally {
    // What a silent API server still owes would keep the process, which must end before another one may lead.
    setTimeout(() => process.exit(), 500).unref();
  }
}

/** @throws UserError `bad-values` */
function wholeNumber(text: string, option: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new UserError({
    what: `${option} "${text}" is not a number from 1 to ${most}`,
    fix: 'correct it',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

async function status(options: ConnectionOptions & { output: 'text' | 'json' }): Promise<void> {
  await withWhole(options, async (cluster) => {
    const found = await operatorStatus(cluster, options.namespace ?? operatorNamespace);
    print(options, found, rendered);
    if (!found.leader) process.exitCode = 1;
  });
}

function rendered({ leader, planes, policies }: OperatorStatus): string {
  const who = leader ? `${leader} leads.` : 'No operator works: its lease is not held.';
  if (planes.length === 0) return `${who}\nNo HostedControlPlanes.`;
  const rows = planes.map(({ namespace, host, version, available, progressing, degraded, message, sleepsAt }) => [
    namespace,
    host,
    version ?? '',
    available,
    sleepsAt === undefined ? progressing : `${progressing}, sleeps at ${sleepsAt} if unused`,
    degraded === 'True' ? message : '',
  ]);
  const planesTable = table(['NAMESPACE', 'HOST', 'VERSION', 'AVAILABLE', 'PROGRESSING', 'PROBLEM'], rows);
  return [who, planesTable, ...policyLines(policies)].join('\n');
}

/** Nothing where every object could be applied today by those who have a plane there. */
function policyLines(policies: OperatorStatus['policies']): string[] {
  if (!policies)
    return ['', "Not known whether today's policies would take these objects: you may not list bindings of roles."];
  const { beyond, untested } = policies;
  return [
    ...(beyond.length > 0
      ? [
          '',
          "Today's policies would refuse these objects to their tenants; an administrator, or an older policy, let them in:",
        ]
      : []),
    ...beyond.map(({ namespace, why, exceptFor }) =>
      printable(`  ${namespace}: ${why}${exceptFor ? ` (it would be taken from ${exceptFor.join(', ')})` : ''}`),
    ),
    ...(untested.length > 0 ? ['', "Not known whether today's policies would take these objects:"] : []),
    ...untested.map(({ namespace, why }) => printable(`  ${namespace}: ${why}`)),
  ];
}

async function remove(options: UninstallOptions): Promise<void> {
  const namespace = options.namespace ?? operatorNamespace;
  const patience = { timeout: parseDuration(options.timeout, '--timeout'), signal: interruption() };
  await withWhole(options, async (cluster) => {
    const doomed = options.destroyPlanes ? await objectsOfAll(cluster) : [];
    if (doomed.length > 0 && !options.yes)
      await confirm(
        `delete ${doomed.length} HostedControlPlanes with their planes`,
        `All of their data is lost: namespaces ${doomed.map(({ metadata }) => metadata.namespace).join(', ')}.`,
      );
    await uninstall(cluster, namespace, reporterOf(options), options.destroyPlanes ? patience : undefined);
  });
}
