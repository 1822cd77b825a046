import { warnBeforeDays } from '../../pki/certificates.ts';
import type { ComponentStatus } from './component-status.ts';
import type { PlaneStatus } from './status.ts';

/** What keeps a plane from being healthy, each with what to do where that is known. Workers are not part of the plane. */
export function problemsOf(
  status: Pick<
    PlaneStatus,
    'namespace' | 'phase' | 'asleep' | 'exposed' | 'components' | 'alarms' | 'hosted' | 'certificates'
  > &
    Partial<Pick<PlaneStatus, 'unfinished'>>,
): string[] {
  return [
    ...phaseProblems(status),
    ...(status.unfinished?.includes('etcd-repair')
      ? [`its etcd is being repaired; if nobody is at it, run k8sk8s etcd repair -n ${status.namespace} again`]
      : []),
    ...(status.asleep ? awakeProblems(status) : componentProblems(status.components, status.namespace)),
    ...status.alarms.map((alarm) => alarmProblem(alarm, status.namespace)),
    ...(status.hosted.problem ? [status.hosted.problem] : []),
    ...(status.exposed
      ? [
          `not all that was exposed at ${status.exposed} is replaced: run k8sk8s certs rotate-exposed -n ${status.namespace} again`,
        ]
      : []),
    ...status.certificates
      .filter(({ name, days }) => days < warnBeforeDays(name))
      .map(
        ({ name, days }) =>
          `certificate ${name} ${days < 0 ? 'has expired' : `expires in ${days} days`}: run k8sk8s deploy -n ${status.namespace} again${name === 'ca-signer' ? ' with --seal-file; kubelets and users lose access with it' : ''}`,
      ),
  ];
}

function alarmProblem(alarm: string, namespace: string): string {
  return alarm === 'NOSPACE'
    ? `etcd is full (alarm NOSPACE) and refuses writes: delete what is not needed, then run k8sk8s etcd defrag -n ${namespace}`
    : `etcd raises the alarm ${alarm}: look at k8sk8s etcd members -n ${namespace}`;
}

function phaseProblems({ phase, namespace }: Pick<PlaneStatus, 'phase' | 'namespace'>): string[] {
  if (phase === 'available') return [];
  return phase === 'restoring'
    ? [`its restore is not finished: wait for it, or run k8sk8s restore FILE -n ${namespace} again`]
    : [`its first deploy is not finished: wait for it, or run k8sk8s deploy -n ${namespace} again`];
}

function componentProblems(of: ComponentStatus[], namespace: string): string[] {
  return of
    .filter(({ ready }) => !ready)
    .map(
      ({ name, problem, ended }) =>
        `${name} is not ready${problem ? `: ${problem}` : ''}${ended ? `; its last words: k8sk8s logs -n ${namespace} --previous ${ended}` : ''}`,
    );
}

/** Of a plane that sleeps nothing runs, as it should be. */
function awakeProblems({ components, namespace }: Pick<PlaneStatus, 'components' | 'namespace'>): string[] {
  const names = components.filter(({ since }) => since !== undefined).map(({ name }) => name);
  return names.length === 0
    ? []
    : [
        `it is to sleep, but has pods of ${names.join(', ')}: run k8sk8s wake -n ${namespace} or k8sk8s sleep -n ${namespace}, whichever was interrupted`,
      ];
}
