import type { Command } from 'commander';
import { backupName } from '../backup/names.ts';
import type { Seal } from '../backup/seal.ts';
import { type Finding, factsOf, UserError } from '../base/errors.ts';
import { joined, words } from '../base/words.ts';
import { knownMinors, newest, resolveVersion } from '../config/versions.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { planUpgrade, removedApiProblems, type UpgradePlan } from '../operations/upgrade/plan.ts';
import { upgrade } from '../operations/upgrade/upgrade.ts';
import { describeReplacement } from '../rollout/replacements.ts';
import { formatDuration } from '../ui/reporter.ts';
import { inTerminal } from '../ui/words.ts';
import { addSealOptions, type SealOptions, sealOf } from './options/backup-keys.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
} from './options/connection.ts';
import { print } from './options/print.ts';

interface UpgradeOptions extends ConnectionOptions, SealOptions {
  /** false with --no-backup. */
  backup?: string | false;
  to: string;
  plan?: boolean;
  allowUntestedVersion?: boolean;
  acceptRemovedApis?: boolean;
  acceptWorkerSkew?: boolean;
  timeout: string;
  observe: string;
  output: 'text' | 'json';
}

export function configure(command: Command): void {
  addSealOptions(addConnectionOptions(command))
    .option('--backup <FILE>', 'file for the backup before the upgrade; default NAMESPACE-before-VERSION-TIME.backup')
    .option('--no-backup', 'make none')
    .requiredOption('--to <VERSION>', `${knownMinors.map(({ minor }) => minor).join(', ')} or a full version`)
    .option('--plan', 'print the steps and all obstacles, and change nothing')
    .option('--allow-untested-version', 'allow a version that k8sk8s was not tested with')
    .option('--accept-removed-apis', 'go on although APIs are in use that the new version does not serve')
    .option(
      '--accept-worker-skew',
      'go on although a kubelet says that it is of a version which does not go with the new one',
    )
    .option('--timeout <TIME>', 'how long each step may take', '5m')
    .option('--observe <TIME>', 'how long everything has to stay healthy before the upgrade is complete', '10s')
    .addOption(outputOption());
  addOutputOptions(command).addHelpText('after', examples).action(run);
}

const examples = `
A backup is made first. Say how it is encrypted: --passphrase-file, --recipient or --plaintext. --no-backup makes none.

  k8sk8s upgrade -n team-a --to 1.37 --plan                            what is in the way; nothing is changed
  k8sk8s upgrade -n team-a --to 1.37 --passphrase-file FILE            the backup is encrypted with what is in FILE`;

async function run(options: UpgradeOptions): Promise<void> {
  const started = performance.now();
  const to = resolveVersion(options.to);
  if (to === undefined)
    throw new UserError({
      what: `--to "${options.to}" is no Kubernetes version that this k8sk8s knows`,
      fix: `give one of ${knownMinors.map(({ minor }) => minor).join(', ')}, or a full one such as ${newest.patch}`,
      anchor: 'bad-values',
      kind: 'usage',
    });
  const [timeout, observe] = [parseDuration(options.timeout, '--timeout'), parseDuration(options.observe, '--observe')];
  const signal = interruption();
  const cluster = connect(options);
  const reporter = reporterOf(options);
  try {
    const allowUntested = options.allowUntestedVersion ?? false;
    if (options.plan) {
      const plan = await planUpgrade(cluster, to, allowUntested);
      print(options, plan, renderPlan);
      if (against(plan, options).length > 0) process.exitCode = 1;
      return;
    }
    const decide = (plan: UpgradePlan) => {
      refuse(plan, options);
      const backup = backupOf(cluster, plan, options);
      for (const { what } of [...plan.skew, ...removedApiProblems(plan)]) reporter.warn(what);
      if (plan.done > 0) reporter.line(`going on with an upgrade to ${to} that was not finished`);
      return backup;
    };
    const result = await upgrade(cluster, { to, allowUntested, observe, decide, reporter, timeout, signal });
    const took = performance.now() - started;
    print(options, { ...result, seconds: took / 1000 }, ({ serverVersion, from }) =>
      reporter.line(`The plane runs ${serverVersion}, before ${from} (${formatDuration(took)}).`),
    );
  } finally {
    await cluster.close();
  }
}

/** What is not encrypted by anything is not written without being told so. */
function backupOf(
  { namespace }: InfraCluster,
  { from, to }: UpgradePlan,
  options: UpgradeOptions,
): { file: string; seal: Seal } | undefined {
  if (options.backup === false || from === to) return undefined;
  const seal = sealOf(options, ', or --no-backup to make none before the upgrade');
  return { seal, file: options.backup ?? backupName(namespace, `before-${to}`) };
}

function against(plan: UpgradePlan, options: UpgradeOptions): Finding[] {
  return [
    ...plan.problems,
    ...(options.acceptWorkerSkew ? [] : plan.skew),
    ...(options.acceptRemovedApis ? [] : removedApiProblems(plan)),
  ];
}

function refuse(plan: UpgradePlan, options: UpgradeOptions): void {
  const problems = against(plan, options);
  const [only] = problems;
  if (!only) return;
  throw new UserError({
    what: `the plane cannot go from ${plan.from} to ${plan.to}`,
    why:
      problems.length === 1
        ? factsOf(only)
        : joined(
            problems.map((each) => words`\n  - ${factsOf(each)}`),
            '',
          ),
    fix: joined(
      problems.flatMap(({ fix }) => (fix ? [fix] : [])),
      '; ',
    ),
    anchor: 'upgrade-refused',
    kind: 'refused',
  });
}

/** The plan as people read it. Pure. */
export function renderPlan(plan: UpgradePlan): string {
  const versions = [...new Set(plan.workers.map(({ version }) => version))];
  const replaced = plan.replaced.filter(({ pods }) => pods.length > 0).map((each) => describeReplacement(each, true));
  return [
    `Upgrade of the plane in namespace ${plan.namespace} from ${plan.from} to ${plan.to}`,
    '',
    ...(plan.steps.length === 0 ? ['Nothing to do: the images stay the same.'] : []),
    ...plan.steps.flatMap(({ step, images, effect }, index) => [
      `${index + 1}. ${step}: ${effect}`,
      ...images.map(({ from, to }) => `     ${from} -> ${to}`),
    ]),
    ...(replaced.length > 0 ? ['', ...replaced] : []),
    '',
    'Before:   each new image is tried in a pod of its own; nothing is touched unless all of them run and a backup is made',
    ...(plan.done > 0
      ? [`Done:     an earlier run was not finished; ${plan.done} objects are as ${plan.to} wants them already`]
      : []),
    `Rollback: ${plan.rollback}`,
    `Workers:  ${plan.workers.length === 0 ? 'none' : `${plan.workers.length}, kubelets at ${versions.join(', ')}; they are not upgraded, a kubelet may be up to three minors older`}`,
    ...(plan.problems.length + plan.skew.length + plan.removedApis.length === 0 ? ['Against:  nothing'] : ['Against:']),
    ...[...plan.problems, ...plan.skew].map(
      (each) => `  - ${inTerminal(factsOf(each))}${each.fix ? `\n    do: ${inTerminal(each.fix)}` : ''}`,
    ),
    ...removedApiProblems(plan).map(({ what }) => `  - ${inTerminal(what)}`),
  ].join('\n');
}
