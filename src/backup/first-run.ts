import { UserError } from '../base/errors.ts';
import { again, option, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Event, Job, KubeObject, Pod } from '../kube/objects.ts';
import { hindranceOf } from '../live/one-off-pod.ts';
import { isRunning, refusalOf } from '../live/pod-problems.ts';
import type { Phase } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Patience } from '../ui/work.ts';
import { cronJobKind, scheduleName } from './cronjob.ts';
import { asleepNow } from './names.ts';

interface CronJob extends KubeObject {
  spec: { jobTemplate: { metadata?: { labels?: Record<string, string> }; spec: object } };
}

/** The time limit of the job, and where its progress is reported. */
export interface RunRequest extends Patience {
  phase: Phase;
}

/** In src/backup/cronjob.yaml. */
const container = 'backup';
const jobKind = { apiVersion: 'batch/v1', kind: 'Job' };

/**
 * Runs the schedule's job once, as `kubectl create job --from=cronjob/…` does, so that the person who creates the schedule sees
 * its errors at once.
 *
 * @returns its log
 * @throws UserError `backup-job`; the schedule stays in place
 */
export async function runNow(cluster: InfraCluster, request: RunRequest): Promise<string> {
  const cronJob = (await cluster.get<CronJob>(cronJobKind, scheduleName))!;
  const name = `${scheduleName}-${Date.now().toString(36)}`;
  await cluster.create({
    ...jobKind,
    metadata: {
      name,
      labels: cronJob.spec.jobTemplate.metadata?.labels,
      annotations: { 'cronjob.kubernetes.io/instantiate': 'manual' },
      ownerReferences: [{ ...cronJobKind, name: scheduleName, uid: cronJob.metadata.uid!, controller: true }],
    },
    spec: { ...cronJob.spec.jobTemplate.spec, backoffLimit: 0 },
  } as KubeObject);
  // Otherwise the job would try for an hour.
  const giveUp = async (why: string) => {
    await cluster.delete(jobKind, name);
    return failed(cluster, undefined, why);
  };
  let now = '';
  return waitFor({
    ...request,
    every: 300,
    until: async () => {
      const [job, pod] = await Promise.all([cluster.get<Job>(jobKind, name), podOf(cluster, name)]);
      const ended = job?.status?.conditions?.find(
        ({ type, status }) => /^(Complete|Failed)$/.test(type) && status === 'True',
      );
      if (ended?.type === 'Complete') return made(cluster, name, await logOf(cluster, pod));
      if (ended) throw failed(cluster, name, (await logOf(cluster, pod)) || (ended.message ?? 'its pod says nothing'));
      const waits = await waitsFor(cluster, name, pod);
      if (waits.hopeless) throw await giveUp(waits.words);
      now = waits.words;
      return undefined;
    },
    now: () => now,
    late: (after) => giveUp(`${now}, after ${after}`),
  });
}

/** The pod may have seen a plane that slept a moment ago. */
function made(cluster: InfraCluster, job: string, log: string): string {
  if (log.includes(asleepNow)) throw failed(cluster, job, log);
  return log;
}

async function podOf(cluster: InfraCluster, job: string): Promise<Pod | undefined> {
  return (await cluster.pods(`batch.kubernetes.io/job-name=${job}`)).items[0];
}

async function logOf(cluster: InfraCluster, pod: Pod | undefined): Promise<string> {
  return pod ? (await cluster.log(pod.metadata.name, { container, tailLines: 12 }).catch(() => '')).trim() : '';
}

async function waitsFor(
  cluster: InfraCluster,
  job: string,
  pod: Pod | undefined,
): Promise<ReturnType<typeof hindranceOf>> {
  if (pod && isRunning(pod, container)) return { words: 'the backup is being made', hopeless: false };
  if (pod) return hindranceOf(pod, [container]);
  // A quota, a LimitRange, pod security or a webhook refuses the pod.
  const { items } = await cluster.list<Event>(
    { apiVersion: 'v1', kind: 'Event' },
    { fieldSelector: `involvedObject.name=${job},reason=FailedCreate` },
  );
  const refusal = refusalOf(job, items);
  return refusal ? { words: refusal, hopeless: true } : { words: 'its pod is awaited', hopeless: false };
}

/** @param job undefined when the job no longer exists */
function failed({ namespace }: InfraCluster, job: string | undefined, why: string): UserError {
  return new UserError({
    what: 'the first backup of the schedule failed',
    why: errorIn(why),
    fix: words`fix the cause and ${again}${job ? `; the complete log: kubectl -n ${namespace} logs job/${job} -c ${container}` : ''}. The schedule stays in place and runs at its times; ${option('off')} removes it`,
    anchor: 'backup-job',
  });
}

/** The error in a log, with its reason and its fix on lines of their own. Pure. */
export function errorIn(log: string): string {
  const error = log.split(/^ERROR /m).at(-1)!;
  return error.replace(/\n {2}see: .*/, '').replace(/\n {2}(?=\S)/g, '\n       ');
}
