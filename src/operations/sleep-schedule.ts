import rightsTemplate from '../../templates/rights/schedule.yaml';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type ApiError, explainCallError, isInvalid } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';
import { refuseOthersPlane } from '../live/followed.ts';
import { requireRecord } from '../live/record.ts';
import { render } from '../manifests/render.ts';
import { podSelector, recordName } from '../plane/names.ts';
import { placement } from '../plane/placement.ts';
import { containerSecurity, podSecurity } from '../plane/pod-security.ts';
import { recordKind } from '../plane/record.ts';
import { accountState } from '../preflight/account.ts';
import { scheduleRights } from '../preflight/rights.ts';
import type { Reporter } from '../ui/reporter.ts';
import cronjobTemplate from './sleep-schedule.yaml';

/** The account that templates/rights/schedule.yaml makes. */
const account = 'k8sk8s-schedule';
const cronJobKind = { apiVersion: 'batch/v1', kind: 'CronJob' };

export interface SleepSchedule {
  /** In cron's syntax: when the plane falls asleep. */
  sleep: string;
  /** When it wakes; absent when somebody wakes it by hand. */
  wake?: string;
  /** Name of the IANA database: `Europe/Berlin`. */
  timeZone: string;
  /** Of k8sk8s itself. */
  image: string;
  reporter: Reporter;
}

/** The objects that the administrator of the infra cluster makes in the namespace before. Pure. */
export function scheduleObjects(namespace: string): KubeObject[] {
  return render(rightsTemplate, { namespace }, 'rights/schedule.yaml').map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  }));
}

/**
 * Lets the plane of the namespace sleep and wake at given times, by CronJobs that run k8sk8s as an account which the
 * administrator has made. The CronJobs are deleted with the plane's record.
 *
 * @throws UserError `schedule-account` where that account is missing or lacks rights, `bad-values` for times that the infra
 * cluster does not accept
 */
export async function scheduleSleep(cluster: InfraCluster, request: SleepSchedule): Promise<void> {
  const { planeId, spec } = await requireRecord(cluster);
  await refuseOthersPlane(cluster, 'sleep');
  const owner = await cluster.get(recordKind, recordName);
  const build = (name: string, schedule: string) => {
    const job = buildCronJob(name, schedule, cluster.namespace, spec as ClusterSpec, request);
    const ownerReferences = [{ ...recordKind, name: recordName, uid: owner!.metadata.uid! }];
    return { ...job, metadata: { ...job.metadata, labels: podSelector(planeId, 'schedule'), ownerReferences } };
  };
  const jobs = [build('k8sk8s-sleep', request.sleep), ...(request.wake ? [build('k8sk8s-wake', request.wake)] : [])];
  await requireAccount(cluster, jobs[0]!, request.reporter);
  // Both are accepted or none.
  for (const dryRun of [true, false])
    for (const job of jobs) {
      await cluster.apply(job, { dryRun }).catch((error) => {
        throw refusal(error, job, cluster.namespace);
      });
      if (!dryRun) request.reporter.line(`${nameOf(job)} applied`);
    }
  if (!request.wake) await cluster.delete(cronJobKind, 'k8sk8s-wake');
}

/** Ends the schedule. @returns false when there was none */
export async function unscheduleSleep(cluster: InfraCluster): Promise<boolean> {
  const gone = await Promise.all(['k8sk8s-sleep', 'k8sk8s-wake'].map((name) => cluster.delete(cronJobKind, name)));
  return gone.includes(true);
}

interface CronJob extends KubeObject {
  spec: { jobTemplate: { spec: { template: { spec: object } } } };
}

function buildCronJob(
  name: string,
  schedule: string,
  namespace: string,
  spec: ClusterSpec,
  { timeZone, image }: SleepSchedule,
): CronJob {
  const verb = name === 'k8sk8s-sleep' ? 'sleep' : 'wake';
  const [job] = render(
    cronjobTemplate,
    {
      name,
      schedule,
      timeZone,
      image,
      args: [verb, '-n', namespace, '--timeout', '10m', '--by-service'],
      podSecurity: podSecurity(spec),
      containerSecurity: containerSecurity(),
    },
    'operations/sleep-schedule.yaml',
  ) as CronJob[];
  // It has an account of its own, whose token it needs.
  const { serviceAccountName: _, ...place } = placement(spec);
  Object.assign(job!.spec.jobTemplate.spec.template.spec, place);
  return job!;
}

/** The rights of the account are tested with a token of ten minutes, which is not stored. */
async function requireAccount(cluster: InfraCluster, job: CronJob, reporter: Reporter): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'k8sk8s-sleep-preflight' },
    ...job.spec.jobTemplate.spec.template,
  };
  const found = await accountState(cluster, account, pod as KubeObject, scheduleRights);
  if (found.state === 'lacking') throw noAccount(cluster.namespace, found.why);
  if (found.state === 'untested')
    reporter.warn(`what the ServiceAccount "${account}" may do was not tested: you may not request a token for it`);
}

function noAccount(namespace: string, why: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" cannot sleep by the clock yet`,
    why: `${why}. A plane that sleeps and wakes without you needs its own account, and the rights of "edit" do not include Roles`,
    fix: words`ask the administrator of the infra cluster to apply templates/rights/schedule.yaml, which ${command('sleep', namespace, option('rights'))} prints for kubectl apply -f -`,
    anchor: 'schedule-account',
    kind: 'refused',
  });
}

function refusal(error: unknown, job: KubeObject, namespace: string): unknown {
  if (!isInvalid(error)) return explainCallError(error, `apply ${nameOf(job)} in namespace "${namespace}"`);
  return new UserError({
    what: 'the infra cluster does not accept the times of the schedule',
    why: (error as ApiError).message,
    fix: words`write ${option('schedule', "'0 19 * * 1-5'")} in cron's syntax, and ${option('timeZone')} as a name such as Europe/Berlin`,
    anchor: 'bad-values',
    kind: 'usage',
  });
}
