import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { UserError } from '../base/errors.ts';
import { followsObject } from '../live/followed.ts';
import { sleepPlane } from '../operations/sleep.ts';
import { scheduleObjects, scheduleSleep, unscheduleSleep } from '../operations/sleep-schedule.ts';
import { changeByObject, sleepChange } from '../operator/by-object.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  runChange,
} from './options/connection.ts';

interface SleepOptions extends ConnectionOptions {
  timeout: string;
  schedule?: string;
  wakeSchedule?: string;
  timeZone: string;
  image?: string;
  rights?: boolean;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .option('--timeout <TIME>', 'how long it may take until the pods are gone', '2m')
    .option('--schedule <CRON>', "let the plane sleep at these times: '0 19 * * 1-5'; off ends the schedule")
    .option('--wake-schedule <CRON>', "with --schedule: let the plane wake at these times: '0 7 * * 1-5'")
    .option('--time-zone <ZONE>', 'with --schedule: the time zone, such as Europe/Berlin', 'Etc/UTC')
    .option('--image <IMAGE>', 'with --schedule: image of k8sk8s (see its Dockerfile), which runs in the infra cluster')
    .option('--rights', 'print the objects that the administrator of the infra cluster makes for --schedule')
    .option('--by-service', 'in a pod of the infra cluster: reach the API server by its service');
  addOutputOptions(command).action(run);
}

async function run(options: SleepOptions): Promise<void> {
  if (options.rights) return printRights(options);
  if (options.schedule !== undefined) return runSchedule(options.schedule, options);
  await runChange(options, async (cluster, work) => {
    const slept = (await followsObject(cluster))
      ? await changeByObject(cluster, sleepChange, work)
      : await sleepPlane(cluster, work);
    work.reporter.line(
      slept
        ? `The plane sleeps: its pods are gone, its data is kept. Wake it with: k8sk8s wake -n ${cluster.namespace}`
        : `Nothing to do: the plane in namespace "${cluster.namespace}" sleeps already.`,
    );
  });
}

async function printRights(options: SleepOptions): Promise<void> {
  const cluster = connect(options);
  await cluster.close();
  const documents = scheduleObjects(cluster.namespace).map((object) => `---\n${dump(object, { noRefs: true })}`);
  process.stdout.write(documents.join(''));
}

async function runSchedule(schedule: string, options: SleepOptions): Promise<void> {
  await runChange(options, async (cluster, { reporter }) => {
    if (schedule === 'off') {
      const ended = await unscheduleSleep(cluster);
      return reporter.line(
        ended ? 'The plane does not sleep by the clock any more.' : 'Nothing to do: there is no schedule.',
      );
    }
    const { image, timeZone, wakeSchedule: wake } = options;
    if (image === undefined)
      throw new UserError({
        what: '--schedule needs an image of k8sk8s',
        why: 'a CronJob of the infra cluster runs it at these times, and nobody publishes one yet',
        fix: 'build it with the Dockerfile, push it to a registry of yours, and add --image REGISTRY/k8sk8s:VERSION',
        anchor: 'bad-values',
        kind: 'usage',
      });
    await scheduleSleep(cluster, { sleep: schedule, wake, timeZone, image, reporter });
    const wakes = wake === undefined ? 'and wakes when somebody wakes it' : `and wakes at "${wake}"`;
    reporter.line(
      `The plane sleeps at "${schedule}" ${wakes} (${timeZone}). To end that: k8sk8s sleep -n ${cluster.namespace} --schedule off`,
    );
  });
}
