import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { findWayIn, type WayIn } from '../access/way-in.ts';
import { UserError } from '../base/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { forgetInFile, mergeIntoFile } from '../kubeconfig/write.ts';
import { openPlane, refuseAsleep } from '../live/open.ts';
import type { Reporter } from '../ui/reporter.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { defaultKubeconfig } from './options/default-kubeconfig.ts';
import { runGuarded, startGuard } from './options/guarded-child.ts';
import { makePrivateFolder } from './options/private-folder.ts';

interface ConnectOptions extends ConnectionOptions {
  merge?: string | true;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .argument('[COMMAND...]', 'what to run with KUBECONFIG set, after --; by default a shell')
    .option(
      '--merge [FILE]',
      'merge a context into FILE (default: the first of KUBECONFIG, or ~/.kube/config); where HOST leads nowhere from here, until Ctrl-C',
    );
  addOutputOptions(command).addHelpText('after', examples).action(run);
}

const examples = `
Where HOST leads nowhere from here, as with --expose cluster, connections go through the infra API's port-forward; the certificate of
the hosted API is verified all the same. Nothing is left behind when the command ends.

  k8sk8s connect -n team-a -- kubectl get nodes
  k8sk8s connect -n team-a                          a shell in which kubectl speaks to the hosted cluster
  k8sk8s connect -n team-a --merge                  a context for all shells`;

async function run(words: string[], options: ConnectOptions): Promise<void> {
  const reporter = reporterOf(options);
  if (options.merge && words.length > 0) throw usage('--merge and a command contradict each other');
  if (!options.merge && words.length === 0 && !process.stdin.isTTY)
    throw usage('there is neither a command nor a terminal for a shell');
  await withInfra(options, async (cluster) => {
    const way = await open(cluster, reporter);
    try {
      if (options.merge) await mergeWhileOpen(way, options.merge, reporter);
      else process.exitCode = await runWith(way, words, reporter);
    } finally {
      await way.close();
    }
  });
}

function usage(what: string): UserError {
  return new UserError({
    what,
    fix: 'give one of them: k8sk8s connect -n NAMESPACE -- COMMAND, or k8sk8s connect -n NAMESPACE --merge',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

async function open(cluster: InfraCluster, reporter: Reporter): Promise<WayIn> {
  const plane = await openPlane(cluster);
  refuseAsleep(cluster, plane.record);
  const way = await findWayIn(cluster, plane, ({ message }) =>
    reporter.warn(`a connection could not be led on: ${message}`),
  );
  reporter.debug(
    way.port === undefined
      ? `${plane.addresses.publicServer} leads to the plane`
      : `port ${way.port} of this machine leads to the plane, through the infra API's port-forward`,
  );
  return way;
}

/** The file of the credential lives as long as the command, in a folder that nobody else may read. */
async function runWith(way: WayIn, words: string[], reporter: Reporter): Promise<number> {
  const folder = makePrivateFolder('k8sk8s-connect-');
  // Before there is a credential in it.
  const guard = startGuard(folder);
  try {
    const file = path.join(folder, 'kubeconfig');
    writeFileSync(file, way.kubeconfig, { mode: 0o600 });
    const shell = process.env.SHELL ?? '/bin/sh';
    if (words.length === 0) reporter.line(`A shell for ${way.name}: kubectl speaks to it. exit leaves it.`);
    const command = (words.length === 0 ? [shell] : words) as [string, ...string[]];
    return await runGuarded(command, { env: { ...process.env, KUBECONFIG: file }, guard });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EACCES') throw error;
    const program = words[0] ?? process.env.SHELL;
    throw new UserError({
      what: code === 'ENOENT' ? `there is no program ${program}` : `${program} is no program that may be run`,
      fix: 'correct the command after --',
      anchor: 'bad-values',
      kind: 'usage',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    guard.dismiss();
  }
}

async function mergeWhileOpen(way: WayIn, merge: string | true, reporter: Reporter): Promise<void> {
  const file = merge === true ? defaultKubeconfig() : merge;
  // Before there is a context in the file.
  const ended = way.port === undefined ? undefined : untilAskedToEnd();
  reporter.line(
    `file "${file}" ${await mergeIntoFile(file, way.kubeconfig)}; use it with: kubectl --context ${way.name}`,
  );
  if (!ended) return;
  reporter.line('It works until Ctrl-C.');
  await ended;
  await forgetInFile(file, way.name);
  reporter.line(`file "${file}": context ${way.name} taken out`);
}

/** From now on no signal ends this process: whoever presses Ctrl-C twice leaves no half of the work behind. */
function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => resolve());
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && resolve(), 2000).unref();
  });
}
