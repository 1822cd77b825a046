import { UserError } from '../base/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Event, Job, KubeObject, Pod } from '../kube/objects.ts';
import { hindranceOf } from '../live/one-off-pod.ts';
import { isRunning, refusalOf } from '../live/pod-problems.ts';
import type { Phase } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Patience } from '../ui/work.ts';
import { cronJobKind, scheduleName } from './cronjob.ts';

interface CronJob extends KubeObject {
  spec: { jobTemplate: { metadata?: { labels?: Record<string, string> }; spec: object } };
}

/** How long the job may take to its end, and where it is told what it is at. */
export interface RunRequest extends Patience {
  phase: Phase;
}

/** In templates/plane/backup-cronjob.yaml. */
const container = 'backup';
const jobKind = { apiVersion: 'batch/v1', kind: 'Job' };

/**
 * Runs the schedule's job once, now, as `kubectl create job --from=cronjob/…` does: what it lacks is told to the person
 * who sets it up, and not by night to nobody.
 *
 * @returns its log
 * @throws UserError `backup-job`; the schedule stands
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
  // It would go on trying for an hour.
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
      if (ended?.type === 'Complete') return logOf(cluster, pod);
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

/** @param job undefined where there is nothing of it to look at any more */
function failed({ namespace }: InfraCluster, job: string | undefined, why: string): UserError {
  return new UserError({
    what: 'the first backup of the schedule could not be made',
    why: errorIn(why),
    fix: `mend it and run this command again${job ? `; all of its log: kubectl -n ${namespace} logs job/${job}` : ''}. The schedule stands and will try at its time; --off ends it`,
    anchor: 'backup-job',
  });
}

/** A log's error without what surrounds it, its why and what to do set under what happened. Pure. */
export function errorIn(log: string): string {
  const error = log.split(/^ERROR /m).at(-1)!;
  return error.replace(/\n {2}see: .*/, '').replace(/\n {2}(?=\S)/g, '\n       ');
}
