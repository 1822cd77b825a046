import type { Command } from 'commander';
import { cacheRoot } from '../base/cache-root.ts';
import { UserError } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { joined, type Words, words } from '../base/words.ts';
import type { WorkerPlan } from '../hosted/worker-pods/plan.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type DeployResult, deploy } from '../operations/deploy/deploy.ts';
import { chooseSpecFor, type SpecChoice } from '../operations/deploy/spec-choice.ts';
import { describeReplacement } from '../rollout/replacements.ts';
import { formatAge } from '../ui/age.ts';
import { formatDuration, type Reporter } from '../ui/reporter.ts';
import { chooseSpec } from './options/chosen-spec.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { parseLifetime } from './options/lifetime.ts';
import { print } from './options/print.ts';
import { addSpecOptions, type KubeconfigFile } from './options/spec-options.ts';

interface DeployOptions extends ConnectionOptions {
  file?: string;
  dir: string;
  force?: boolean;
  timeout: string;
  ttl?: string;
  expiresAt?: string;
  output: 'text' | 'json';
  yes?: boolean;
  dryRun?: boolean;
  export?: boolean;
  withSecrets?: boolean;
  authorizationWebhook?: KubeconfigFile;
}

export function configure(command: Command): void {
  addSpecOptions(command);
  addConnectionOptions(command);
  command
    .option('-f, --file <FILE>', 'read options from a cluster.yaml; those of the command line take precedence')
    .option('--reset <OPTION...>', 'options to reset to their defaults, by name, instead of keeping them')
    .option('--dir <DIR>', 'folder for the kubeconfigs', 'tls')
    .option('--force', "overwrite files in --dir that are another cluster's")
    .option('--timeout <TIME>', 'how long the plane may take to answer', '5m')
    .option('--ttl <TIME>', 'when the plane ends, from now; then all of it is deleted. none: it does not end')
    .option('--expires-at <TIME>', 'the same as a time: 2026-12-31T18:00:00+01:00')
    .option('--yes', "make changes that need consent: loss of the hosted cluster's data, another address, no trial")
    .option('--dry-run', 'ask the infra cluster what would change, and change nothing')
    .option('--export', 'print the manifests instead of applying them')
    .option('--with-secrets', 'with --export: include the Secrets, with private keys')
    .addOption(outputOption());
  addOutputOptions(command)
    .addHelpText('after', examples)
    .action(async (_, self: Command) => run(self));
}

const examples = `
Options that are not given again keep what the plane was deployed with; --reset OPTION takes one back to its default.

  k8sk8s deploy -h k.example.com -n team-a                          through the infra cluster's ingress controller
  k8sk8s deploy -h 192.0.2.10 --expose nodeport -n team-a           at the address of an infra node
  k8sk8s deploy -n team-a --etcd-members 3 --replicas 2             several of everything, also later
  k8sk8s deploy -n team-a --ttl 8h                                  ends by itself; again to put it off
  k8sk8s deploy -n team-a --dry-run                                 what would change`;

async function run(command: Command): Promise<void> {
  const started = performance.now();
  const signal = interruption();
  const { completeIn, local } = chooseSpec(command, command.opts<DeployOptions>().file);
  const options: DeployOptions = { ...command.opts<DeployOptions>(), ...local };
  const timeout = parseDuration(options.timeout, '--timeout');
  const lifetime = parseLifetime(options, new Date());
  await withInfra(options, async (cluster) => {
    reporterOf(options).debug(`k8sk8s ${toolVersion()} at ${cluster.server}, namespace ${cluster.namespace}`);
    const choose = completeIn(cluster.namespace);
    if (options.export) await printManifests(cluster, choose, options);
    else if (options.dryRun) await printPlan(cluster, choose, options);
    else {
      const result = await deploy(cluster, {
        choose,
        reporter: reporterOf(options),
        timeout,
        signal,
        cacheFolder: cacheRoot(),
        lifetime,
        allowDataLoss: options.yes ?? false,
        files: { dir: options.dir, force: options.force ?? false },
        webhookKubeconfig: options.authorizationWebhook?.text,
      });
      printResult(cluster, result, options, performance.now() - started);
      if (isUnchanged(result)) await tellHealth(cluster, reporterOf(options));
    }
  });
}

/** That nothing is to be changed does not mean that all is well. */
async function tellHealth(cluster: InfraCluster, reporter: Reporter): Promise<void> {
  const { planeStatus } = await import('../operations/status/status.ts');
  const { problemsOf } = await import('../operations/status/problems.ts');
  for (const { what, why, fix } of problemsOf(await planeStatus(cluster)))
    reporter.warn(words`all is deployed as it should be, and yet ${joined([what, why, fix].filter(isSaid), '; ')}`);
}

function isSaid(sentence: Words | undefined): sentence is Words {
  return sentence !== undefined && sentence !== '';
}

function isUnchanged({ applied: { created, changed } }: DeployResult): boolean {
  return created.length + changed.length === 0;
}

function printResult(cluster: InfraCluster, result: DeployResult, options: DeployOptions, milliseconds: number): void {
  const { created, changed, unchanged } = result.applied;
  const { replaced } = result;
  const reporter = reporterOf(options);
  const took = formatDuration(milliseconds);
  const { planeId: plane, addresses, serverVersion: version, files, steps, lifetime } = result;
  const objects = { created, changed, unchanged: unchanged.length, replaced };
  const times = { seconds: milliseconds / 1000, steps };
  print(
    options,
    { namespace: cluster.namespace, plane, ...addresses, version, lifetime, files, ...objects, ...times },
    () => {
      if (lifetime?.endsAt !== undefined)
        for (const line of endLines(lifetime.endsAt, options.dir)) reporter.line(line);
      if (isUnchanged(result)) {
        reporter.line(`Nothing to change: all ${unchanged.length} objects are as they should be (${took}).`);
        return;
      }
      reporter.line(`The hosted cluster is at ${addresses.publicServer} (${took}).`);
      reporter.line(`Look around:   kubectl --kubeconfig=${files?.kubeconfig} get pods -A`);
      reporter.line(`Join workers:  k8sk8s worker-config -n ${cluster.namespace}`);
    },
  );
}

/** What becomes of the plane and of what is not in its namespace. */
function endLines(endsAt: string, dir: string): string[] {
  const left = formatAge(Date.parse(endsAt) - Date.now());
  return [
    `The plane ends at ${endsAt}, in ${left}: then the infra cluster deletes all of it, the hosted cluster's data too.`,
    `What is outside of the infra cluster stays: the files in ${dir} lead nowhere then, and workers go on running their pods until somebody stops them.`,
  ];
}

async function printPlan(cluster: InfraCluster, choose: SpecChoice, options: DeployOptions): Promise<void> {
  const { spec } = await chooseSpecFor(cluster, choose);
  const { dryRun } = await import('../operations/deploy/dry-run.ts');
  const { applied, replaced, workers, move } = await dryRun(
    cluster,
    spec,
    reporterOf(options),
    options.authorizationWebhook?.text,
  );
  const { created, changed, unchanged } = applied;
  const would = { wouldCreate: created, wouldChange: changed, wouldReplace: replaced, wouldMove: move, workers };
  print(options, { namespace: cluster.namespace, ...would, unchanged }, () =>
    [
      ...created.map((name) => `would create ${name}`),
      ...changed.map((name) => `would change ${name}`),
      ...(move ? [`would move the plane from ${move.before} to ${move.after}, which --yes is needed for`] : []),
      ...replaced.filter(({ pods }) => pods.length > 0).map((each) => describeReplacement(each, true)),
      ...workerLines(workers),
      `${created.length} would be created, ${changed.length} changed, ${unchanged.length} stay as they are; nothing was changed.`,
    ].join('\n'),
  );
}

/** Pods of the hosted cluster move over, and what lies on the disks of their workers goes. */
function workerLines({ replaced, ended, otherVolumes }: WorkerPlan): string[] {
  const lines: string[] = [];
  if (replaced.length > 0)
    lines.push(
      `would drain and make anew, one after the other: ${replaced.join(', ')}${otherVolumes ? '; their volumes end, and what is on them' : ''}`,
    );
  if (ended.length > 0) lines.push(`would drain and end, with their Nodes and volumes: ${ended.join(', ')}`);
  return lines;
}

async function printManifests(cluster: InfraCluster, choose: SpecChoice, options: DeployOptions): Promise<void> {
  const { spec } = await chooseSpecFor(cluster, choose);
  const { exportManifests } = await import('../operations/deploy/dry-run.ts');
  const reporter = reporterOf(options);
  const { infra, hosted, placeholders } = await exportManifests(
    cluster,
    spec,
    options.withSecrets ?? false,
    options.authorizationWebhook?.text,
  );
  if (placeholders.length > 0 && options.withSecrets) {
    throw new UserError({
      what: 'the certificates cannot be exported yet',
      why: words`they carry addresses that the infra cluster has not given out: ${joined(
        placeholders.map(({ meaning }) => meaning),
        ', ',
      )}`,
      fix: 'create the services first (deploy once, or export without --with-secrets and apply the services), then export again',
      anchor: 'export-addresses',
      kind: 'refused',
    });
  }
  for (const { placeholder, meaning } of placeholders)
    reporter.warn(
      words`${placeholder} stands for the ${meaning}, which does not exist yet: apply the services first, then export again`,
    );
  if (!options.withSecrets) reporter.warn('the Secrets are left out; --with-secrets adds them, private keys included');
  process.stdout.write(
    `# For the infra cluster, namespace ${cluster.namespace}\n${infra}# For the hosted cluster, once it answers\n${hosted}`,
  );
}
