import type { Finding } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { nearTheirEnd } from '../../pki/near-end.ts';
import { besideIn } from './beside.ts';
import type { ComponentStatus } from './component-status.ts';
import { balancerProblems } from './load-balancer.ts';
import type { PlaneStatus } from './status.ts';

/** What can be said of a plane in one word. `warning`: all is well, and will not stay so. */
export type Health = 'healthy' | 'warning' | 'unhealthy' | 'asleep' | 'unknown';

export function healthOf({ asleep }: Pick<PlaneStatus, 'asleep'>, problems: Finding[]): Health {
  if (problems.some(({ severity }) => severity === 'fatal')) return 'unhealthy';
  if (problems.length > 0) return 'warning';
  return asleep ? 'asleep' : 'healthy';
}

/** What keeps a plane from being healthy, each with what to do where that is known: what its users need is part of that. */
export function problemsOf(
  status: Pick<
    PlaneStatus,
    'namespace' | 'phase' | 'asleep' | 'exposed' | 'components' | 'alarms' | 'hosted' | 'certificates'
  > &
    Partial<Pick<PlaneStatus, 'unfinished' | 'lifetime' | 'workerPods' | 'logs' | 'host' | 'balancer'>>,
): Finding[] {
  const { namespace, hosted, host = '', balancer } = status;
  return [
    ...phaseProblems(status),
    ...unfinishedProblems(status),
    ...lifetimeProblems(status),
    ...(status.asleep ? awakeProblems(status) : componentProblems(status.components, namespace)),
    ...(status.asleep ? [] : besideProblems(status)),
    ...status.alarms.map((alarm) => alarmProblem(alarm, namespace)),
    ...(hosted.problem ? [hosted.problem] : []),
    ...hosted.lacks,
    ...(status.asleep ? [] : balancerProblems({ host, namespace }, balancer)),
    ...nearTheirEnd(status.certificates, namespace),
  ];
}

function alarmProblem(alarm: string, namespace: string): Finding {
  return alarm === 'NOSPACE'
    ? {
        what: 'etcd is full (alarm NOSPACE) and refuses writes',
        fix: words`delete what is not needed, then run ${command('etcd defrag', namespace)}`,
        anchor: 'etcd-full',
        severity: 'fatal',
      }
    : {
        what: `etcd raises the alarm ${alarm}`,
        fix: words`look at ${command('etcd members', namespace)}`,
        anchor: 'etcd-alarm',
        severity: 'fatal',
      };
}

function phaseProblems({ phase, namespace }: Pick<PlaneStatus, 'phase' | 'namespace'>): Finding[] {
  if (phase === 'available') return [];
  return phase === 'restoring'
    ? [
        {
          what: 'its restore is not finished',
          fix: words`wait for it, or run ${command('restore', namespace, 'FILE')} again`,
          anchor: 'restore-unfinished',
          severity: 'fatal',
        },
      ]
    : [
        {
          what: 'its first deploy is not finished',
          fix: words`wait for it, or run ${command('deploy', namespace)} again`,
          anchor: 'plane-incomplete',
          severity: 'fatal',
        },
      ];
}

/** What an operation that was interrupted has left, where nothing but the same operation mends it. */
function unfinishedProblems({
  unfinished,
  exposed,
  namespace,
}: Pick<PlaneStatus, 'exposed' | 'namespace'> & Partial<Pick<PlaneStatus, 'unfinished'>>): Finding[] {
  const problems: Finding[] = [];
  if (unfinished?.includes('etcd-repair'))
    problems.push({
      what: 'its etcd is being repaired',
      fix: words`if nobody is at it, run ${command('etcd repair', namespace)} again`,
      anchor: 'etcd-member',
      severity: 'fatal',
    });
  if (exposed)
    problems.push({
      what: `not all that was exposed at ${exposed} is replaced`,
      fix: words`run ${command('certs rotate-exposed', namespace)} again`,
      anchor: 'keys-exposed',
      severity: 'fatal',
    });
  return problems;
}

/** A Job controller that counts nothing keeps a plane that somebody believes to end. */
function lifetimeProblems({
  lifetime,
  namespace,
}: Pick<PlaneStatus, 'namespace'> & Partial<Pick<PlaneStatus, 'lifetime'>>): Finding[] {
  if (!lifetime || lifetime.counted) return [];
  return [
    {
      what: "the infra cluster's Job controller has not begun to count the time until the plane ends",
      why: 'it has just been set, or the controller does not run; the plane ends as much later',
      fix: words`if this stays so, ask the administrator of the infra cluster; ${command('destroy', namespace)} ends the plane now`,
      anchor: 'lifetime',
      severity: 'warning',
    },
  ];
}

function componentProblems(of: ComponentStatus[], namespace: string): Finding[] {
  return of
    .filter(({ ready }) => !ready)
    .map(({ name, problem, ended }) => ({
      what: `${name} is not ready`,
      why: problem,
      fix: ended ? words`its last words: ${command('logs', namespace, ended, option('previous'))}` : undefined,
      anchor: 'component-not-ready',
      severity: 'fatal',
    }));
}

/** A plane answers without. */
function besideProblems(status: Pick<PlaneStatus, 'namespace'>): Finding[] {
  return besideIn(status).flatMap(([beside, its]) => beside.problem(its, status.namespace) ?? []);
}

/** Of a plane that sleeps nothing runs, as it should be. */
function awakeProblems({ components, namespace }: Pick<PlaneStatus, 'components' | 'namespace'>): Finding[] {
  const names = components.filter(({ since }) => since !== undefined).map(({ name }) => name);
  if (names.length === 0) return [];
  return [
    {
      what: `it is to sleep, but has pods of ${names.join(', ')}`,
      fix: words`run ${command('wake', namespace)} or ${command('sleep', namespace)}, whichever was interrupted`,
      anchor: 'plane-asleep',
      severity: 'fatal',
    },
  ];
}
