import type { Event, Pod } from '../../kube/objects.ts';
import { newestFirst, timeOf } from '../../live/pod-problems.ts';

export interface Warning {
  /** RFC 3339. */
  time: string;
  object: string;
  reason: string;
  message: string;
}

/** The last five warnings about pods that the plane has now, but for those of a start that went well. Pure. */
export function warningsOf(events: Event[], pods: Pod[]): Warning[] {
  const starts = new Map(pods.map((pod) => [pod.metadata.name, startOf(pod)]));
  const counts = (event: Event) => {
    const start = starts.get(event.involvedObject.name);
    return event.type === 'Warning' && start !== undefined && timeOf(event) > start;
  };
  return newestFirst(events)
    .filter(counts)
    .slice(0, 5)
    .map((event) => ({
      time: timeOf(event),
      object: event.involvedObject.name,
      reason: event.reason ?? '',
      message: (event.message ?? '').split('\n')[0] ?? '',
    }));
}

/** When a pod that never restarted became ready: until then its probes failed because it was starting. Else before all time. */
function startOf({ status }: Pod): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const restarted = status?.containerStatuses?.some(({ restartCount }) => restartCount > 0);
  return ready?.status === 'True' && !restarted ? (ready.lastTransitionTime ?? '') : '';
}
