import type { Command } from 'commander';
import { didYouMean } from '../base/did-you-mean.ts';
import { UserError } from '../base/errors.ts';
import { refuseAsleep } from '../live/open.ts';
import { requireRecord } from '../live/record.ts';
import { followLog, type LogQuery, type LogSink, type LogSource, prefixOf, readLog } from '../operations/logs.ts';
import type { PlaneComponent } from '../plane/components/component.ts';
import { egressName, konnectivityServerName, tunnelHubName } from '../plane/components/kube-apiserver/egress/egress.ts';
import { components } from '../plane/components/table.ts';
import { configureStore } from './logs/store.ts';
import {
  addConnectionOptions,
  type ConnectionOptions,
  interruption,
  parseDuration,
  reporterOf,
  withInfra,
} from './options/connection.ts';

interface LogsOptions extends ConnectionOptions {
  follow?: boolean;
  previous?: boolean;
  tail?: string;
  since?: string;
  timestamps?: boolean;
  audit?: boolean;
}

const sources = components.flatMap(({ name, beside = [] }: PlaneComponent) => [name, ...beside]) as LogSource[];

const aliases: Record<string, LogSource> = {
  apiserver: 'kube-apiserver',
  'api-server': 'kube-apiserver',
  'controller-manager': 'kube-controller-manager',
  scheduler: 'kube-scheduler',
  egress: egressName,
  gate: egressName,
  konnectivity: konnectivityServerName,
  tunnel: tunnelHubName,
};

const defaultTail = 200;
const audited: LogSource = 'kube-apiserver';

export function configure(command: Command): void {
  addConnectionOptions(command)
    .argument('[COMPONENT]', `${sources.join(', ')}; all of them when left out`)
    .option('-f, --follow', 'follow new lines, across restarts')
    .option('--previous', 'show the log of the container before its last restart')
    .option('--tail <N>', `last lines only (default: ${defaultTail}, with --since all)`)
    .option('--since <TIME>', 'show only lines of the last 10m, 1h, …')
    .option('--timestamps', 'show the time of each line')
    .option('--audit', "show the API server's audit events, which are left out otherwise")
    .action(run);
  configureStore(command);
}

async function run(name: string | undefined, options: LogsOptions): Promise<void> {
  const asked = name === undefined ? undefined : sourceOf(name);
  if (options.audit && asked && asked !== audited)
    throw badValue(`${name} writes no audit events`, `leave it out, or say ${audited}`);
  const query = queryOf(options);
  const reporter = reporterOf(options);
  const signal = AbortSignal.any([interruption(), brokenOutput()]);
  await withInfra(options, async (cluster) => {
    const record = await requireRecord(cluster);
    const { egress, tunnelHost } = record.spec;
    const all = sources.filter(
      (each) =>
        (each !== konnectivityServerName || egress === 'konnectivity') &&
        (each !== tunnelHubName || tunnelHost !== undefined),
    );
    const chosen: readonly LogSource[] = asked ? [asked] : options.audit ? [audited] : all;
    const sinkOf = (source: LogSource): LogSink => ({
      line: (text) => process.stdout.write(`${prefixOf(source, chosen)}${text}\n`),
      note: (text) => reporter.line(`${source}: ${text}`),
    });
    if (options.follow) {
      await Promise.all(chosen.map((each) => followLog(cluster, record.planeId, each, query, sinkOf(each), signal)));
      return;
    }
    let found = false;
    // One after the other, so that the lines of each stay together.
    for (const each of chosen)
      found = (await readLog(cluster, record.planeId, each, query, sinkOf(each), signal)) || found;
    if (!found) refuseAsleep(cluster, record);
    if (!found) process.exitCode = 1;
  });
}

/** @throws UserError (kind `usage`) */
function queryOf(options: LogsOptions): LogQuery {
  if (options.tail !== undefined && !/^\d+$/.test(options.tail))
    throw badValue(`--tail "${options.tail}" is not a number of lines`, 'write for example --tail 100');
  if (options.follow && options.previous)
    throw badValue(
      '--follow and --previous cannot be used together',
      'leave one out: a container that has ended writes no more',
    );
  const since = options.since === undefined ? undefined : Math.ceil(parseDuration(options.since, '--since') / 1000);
  const tail = options.tail === undefined ? undefined : Number(options.tail);
  return {
    tailLines: tail ?? (since === undefined ? defaultTail : undefined),
    sinceSeconds: since,
    timestamps: options.timestamps,
    previous: options.previous,
    audit: options.audit,
  };
}

/** A reader that closes the pipe has seen enough; any other trouble with the output is told. */
function brokenOutput(): AbortSignal {
  const controller = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.exitCode = 1;
    process.stderr.write(`ERROR the log cannot be written: ${error.message}\n`);
    controller.abort(error);
  });
  return controller.signal;
}

function sourceOf(name: string): LogSource {
  const found = sources.find((source) => source === name) ?? aliases[name];
  if (found) return found;
  throw badValue(
    `"${name}" is no component of a plane${didYouMean(name, [...sources, ...Object.keys(aliases)])}`,
    `choose one of ${sources.join(', ')}`,
  );
}

function badValue(what: string, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}
