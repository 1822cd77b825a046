import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import type { Pod } from '../kube/objects.ts';
import { podSelector } from '../plane/names.ts';
import { readRecord } from '../record.ts';
import { type Component, components, didYouMean } from '../spec.ts';
import { addConnectionOptions, type ConnectionOptions, connect, interruption, parseDuration } from './connection.ts';

interface LogsOptions extends ConnectionOptions {
  follow?: boolean;
  previous?: boolean;
  tail?: string;
  since?: string;
  timestamps?: boolean;
}

const aliases: Record<string, Component> = {
  apiserver: 'kube-apiserver',
  'api-server': 'kube-apiserver',
  'controller-manager': 'kube-controller-manager',
  scheduler: 'kube-scheduler',
};

export function configure(command: Command): void {
  addConnectionOptions(command)
    .argument('[COMPONENT]', `${components.join(', ')}; all of them when left out`)
    .option('-f, --follow', 'go on as new lines are written, across restarts')
    .option('--previous', 'of the container before its last restart')
    .addOption(new Option('--tail <N>', 'last lines only').default('200'))
    .option('--since <TIME>', 'of the last 10m, 1h, …')
    .option('--timestamps', 'with the time of each line')
    .action(run);
}

async function run(name: string | undefined, options: LogsOptions): Promise<void> {
  const chosen = name === undefined ? [...components] : [componentOf(name)];
  if (!/^\d+$/.test(options.tail ?? ''))
    throw new UserError({
      what: `--tail "${options.tail}" is not a number of lines`,
      fix: 'write for example --tail 100',
      anchor: 'bad-values',
      exitCode: 2,
    });
  const since = options.since === undefined ? undefined : Math.ceil(parseDuration(options.since, '--since') / 1000);
  const signal = interruption();
  const cluster = connect(options);
  // A reader that closes the pipe has seen enough.
  process.stdout.once('error', () => process.exit(0));
  try {
    const record = await readRecord(cluster);
    if (!record)
      throw new UserError({
        what: `there is no plane of k8sk8s in namespace "${cluster.namespace}"`,
        fix: 'k8sk8s list shows where there are some',
        anchor: 'no-plane',
      });
    const query = {
      tailLines: Number(options.tail),
      sinceSeconds: since,
      timestamps: options.timestamps,
      previous: options.previous,
    };
    await Promise.all(
      chosen.map(async (component) => {
        const write = (line: string) =>
          process.stdout.write(`${chosen.length > 1 ? `${component.padEnd(24)}` : ''}${line}\n`);
        if (options.follow) await followComponent(cluster, record.planeId, component, query, write, signal);
        else await printComponent(cluster, record.planeId, component, query, write);
      }),
    );
  } finally {
    await cluster.close();
  }
}

type Query = { tailLines?: number; sinceSeconds?: number; timestamps?: boolean; previous?: boolean };

async function printComponent(
  cluster: InfraCluster,
  planeId: string,
  component: Component,
  query: Query,
  write: (line: string) => void,
): Promise<void> {
  const pods = await podsOf(cluster, planeId, component);
  if (pods.length === 0) write('(it has no pod)');
  for (const pod of pods)
    for (const line of (await cluster.log(pod.metadata.name, query)).split('\n').filter(Boolean)) write(line);
}

/** A log ends when its container does; the next one's is then followed from its beginning. */
async function followComponent(
  cluster: InfraCluster,
  planeId: string,
  component: Component,
  query: Query,
  write: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let wanted = query;
  while (!signal.aborted) {
    const [pod] = await podsOf(cluster, planeId, component);
    if (pod) {
      try {
        await copy(await cluster.followLog(pod.metadata.name, { ...wanted, signal }), write);
        wanted = { timestamps: query.timestamps, sinceSeconds: 1 };
      } catch (error) {
        if (signal.aborted) return;
        write(`(no log yet: ${error instanceof Error ? error.message : error})`);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function copy(stream: Readable, write: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) write(line);
}

async function podsOf(cluster: InfraCluster, planeId: string, component: Component): Promise<Pod[]> {
  const selector = Object.entries(podSelector(planeId, component)).map(([key, value]) => `${key}=${value}`);
  return (await cluster.pods(selector.join(','))).items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

function componentOf(name: string): Component {
  const found = components.find((component) => component === name) ?? aliases[name];
  if (found) return found;
  throw new UserError({
    what: `"${name}" is no component of a plane${didYouMean(name, [...components, ...Object.keys(aliases)])}`,
    fix: `choose one of ${components.join(', ')}`,
    anchor: 'bad-values',
    exitCode: 2,
  });
}
