import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, ContainerStatus, Pod } from '../kube/objects.ts';
import { lastLines, type OneOffPod, removePod, waitForPod } from '../live/one-off-pod.ts';
import { recordName } from '../plane/names.ts';
import { buildTrial, programsOf, type TrialContext, trialName } from '../plane/trial-pod.ts';
import { jsonLogFields } from '../programs/log-follower/json-log.ts';
import type { Phase } from '../ui/reporter.ts';
import type { Patience, Work } from '../ui/work.ts';

/** A trial that did not take place: the namespace or the nodes have no room for its pod beside the plane, or it may not be made. */
export interface NoRoom {
  /** The server's or the scheduler's own words, with the figures. */
  why: string;
}

/**
 * Runs the changed components by their new flags, files and images in one pod beside the plane, on an empty etcd of the pod's
 * own, and takes the pod away. The plane is not touched.
 *
 * What a trial cannot judge: whether existing data can be decrypted, whether stored objects fit the new API server, and memory
 * under the real data.
 *
 * @returns undefined when all of them started; why there was no trial when there is no room for its pod
 * @throws UserError `change-refused` with the component's own last words
 */
export async function tryComponents(
  cluster: InfraCluster,
  context: Omit<TrialContext, 'owner'>,
  { reporter, timeout, signal }: Work,
): Promise<NoRoom | undefined> {
  const owner = (await cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName))!;
  const { secret, pod } = buildTrial({ ...context, owner });
  const names = context.changed.join(', ');
  const failed = (why: string) => refused(names, why);
  const remove = async () => {
    await removePod(cluster, trialName, { timeout, signal }, failed);
    await cluster.delete(secret, trialName);
  };
  // A run that was killed may have left them, with other files.
  await remove();
  try {
    await reporter.during(
      `Trying ${names} beside the plane`,
      async (phase) => {
        await cluster.create(secret);
        await cluster.create(pod);
        await untilStarted(cluster, pod, programsOf(context.changed), { phase, timeout, signal }, failed);
      },
      `${names} started beside the plane, on empty data`,
    );
    return undefined;
  } catch (error) {
    // A quota, a policy, or no right to make pods.
    if (error instanceof Unplaced || isForbidden(error)) return { why: (error as Error).message };
    throw error;
  } finally {
    await remove().catch(() => undefined);
  }
}

/** The scheduler finds no node for the pod of the trial. */
class Unplaced extends Error {}

/** Milliseconds that a pod may be without a node: one may be made for it, or freed. */
const placeGrace = 5000;

/** Waits until all programs have started. @throws `change-refused`, Unplaced */
async function untilStarted(
  cluster: InfraCluster,
  pod: OneOffPod,
  programs: string[],
  { phase, ...patience }: Patience & { phase: Phase },
  failed: (why: string) => UserError,
): Promise<void> {
  const begun = performance.now();
  const own = (now: Pod) => statusesIn(now).filter(({ name }) => programs.includes(name));
  const started = (now: Pod) => own(now).length === programs.length && own(now).every((each) => each.started);
  const judge = async (now: Pod): Promise<Error | undefined> => {
    const ended = failedOf(own(now));
    if (ended) return refused(ended.name, await lastWordsOf(cluster, ended));
    const noNode = unschedulable(now);
    return noNode !== undefined && performance.now() - begun > placeGrace ? new Unplaced(noNode) : undefined;
  };
  await waitForPod(cluster, pod, patience, started, failed, { phase, judge });
}

function statusesIn({ status }: Pod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** Who ended by itself: the pod's other programs are ended then, and may be told of at the same time. Pure. */
export function failedOf(statuses: ContainerStatus[]): ContainerStatus | undefined {
  const ended = statuses.filter(hasEnded);
  return ended.find((each) => exitOf(each)?.exitCode !== 0) ?? ended[0];
}

function exitOf({ state, lastState }: ContainerStatus) {
  return lastState?.terminated ?? state?.terminated;
}

/** A sidecar is started again at once, and its first end is in its last state. */
function hasEnded({ state, lastState }: ContainerStatus): boolean {
  return state?.terminated !== undefined || lastState?.terminated !== undefined;
}

function unschedulable({ status }: Pod): string | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable' ? scheduled.message : undefined;
}

async function lastWordsOf(cluster: InfraCluster, container: ContainerStatus): Promise<string> {
  const read = (previous: boolean) =>
    cluster.log(trialName, { container: container.name, tailLines: 60, previous }).catch(() => '');
  // A sidecar may have been started again, and its log may be empty for a moment.
  const log = (await read(true)) || (await read(false));
  const exit = exitOf(container);
  const how = exit?.reason === 'OOMKilled' ? 'out of memory' : `exit code ${exit?.exitCode}`;
  return `it ends right after its start (${how}): ${causeInLog(log) || 'it left no log'}`;
}

/** What of a log says why its program ended: what stands beside its usage, or what klog calls an error. Pure. */
export function causeInLog(log: string): string {
  const start = log.lastIndexOf('\nError: ');
  if (start >= 0) return lastLines(log.slice(start));
  // etcd says what is wrong before its usage.
  const usage = log.search(/^Usage:/m);
  if (usage > 0) return lastLines(log.slice(0, usage));
  const errors = klogErrors(log);
  return lastLines(errors.length > 0 ? errors.join('\n') : log);
}

/** Entries that are errors, of klog or as JSON. One of several lines goes on in lines that begin with a tab, as `err=<…>`. Pure. */
export function klogErrors(log: string): string[] {
  const entries: string[] = [];
  let open = false;
  for (const line of log.split('\n')) {
    const asJson = jsonLogFields(line);
    if (asJson?.level === 'error') entries.push(asJson._msg!);
    else if (/^[EF]\d{4} /.test(line)) entries.push(line);
    else if (open && /^(\t| >)/.test(line)) entries[entries.length - 1] += `\n${line}`;
    else {
      open = false;
      continue;
    }
    open = true;
  }
  return entries;
}

function refused(names: string, why: string): UserError {
  return new UserError({
    what: `${names} cannot run as asked for`,
    why,
    fix: words`correct the option that is named there, and ${again}. The plane was not touched: it runs as before`,
    anchor: 'change-refused',
  });
}
