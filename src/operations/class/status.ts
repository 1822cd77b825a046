import pLimit from 'p-limit';
import { type Finding, messageOf, UserError } from '../../base/errors.ts';
import { parseSpec } from '../../config/parse.ts';
import { explainCallError } from '../../kube/errors.ts';
import { objectOf, type PlaneObject } from '../../live/followed.ts';
import { problemsOf } from '../status/problems.ts';
import { planeStatus } from '../status/status.ts';
import { quotaShort } from './capacity.ts';
import { clusterOf, type Lesson, type Student } from './queue.ts';

/** What a plane takes at least, for who asks why there is none. */
const smallest = () => parseSpec({ host: 'none.invalid', profile: 'lite' }, 'of the smallest plane');

export interface StudentStatus {
  student: string;
  namespace: string;
  host: string;
  /** `missing` without a plane, `asleep`, or the record's phase; `unknown` where it cannot be read. */
  state: 'missing' | 'asleep' | 'restoring' | 'deploying' | 'available' | 'unknown';
  healthy: boolean;
  /** RFC 3339. */
  endsAt?: string;
  workers?: { ready: number; all: number };
  problems: Finding[];
}

/** The present state of the planes of a class; eight are asked at a time. */
export function classStatus(lesson: Pick<Lesson, 'cluster'>, students: Student[]): Promise<StudentStatus[]> {
  const limit = pLimit(8);
  return Promise.all(students.map((student) => limit(() => statusOf(lesson, student))));
}

async function statusOf(lesson: Pick<Lesson, 'cluster'>, student: Student): Promise<StudentStatus> {
  const { name, namespace, host } = student;
  const common = { student: name, namespace, host };
  const cluster = clusterOf(lesson, student);
  let ofObject: Finding[] = [];
  try {
    const object = await objectOf(cluster);
    ofObject = objectProblems(object);
    const status = await planeStatus(cluster);
    const problems = [...ofObject, ...problemsOf(status)];
    const { workers } = status.hosted;
    return {
      ...common,
      host: status.host,
      state: status.asleep ? 'asleep' : status.phase,
      healthy: problems.length === 0,
      endsAt: status.lifetime?.endsAt ?? object?.spec.expiresAt,
      ...(status.hosted.answers && {
        workers: { ready: workers.filter(({ ready }) => ready).length, all: workers.length },
      }),
      problems,
    };
  } catch (cause) {
    // A plane that cannot be read does not hide the others.
    const error = explainCallError(cause, `read the plane in namespace "${namespace}"`);
    if (!(error instanceof UserError)) return { ...common, state: 'unknown', healthy: false, problems: [bug(error)] };
    if (error.anchor === 'no-plane') {
      const short = await quotaShort(cluster, smallest());
      return { ...common, state: 'missing', healthy: false, problems: [...ofObject, ...(short ? [short] : [])] };
    }
    return { ...common, state: 'unknown', healthy: false, problems: [error] };
  }
}

const bug = (error: unknown): Finding => ({
  what: 'the plane cannot be read',
  why: `this is a bug of k8sk8s: ${messageOf(error)}`,
  anchor: 'class',
  severity: 'fatal',
});

/** What the operator says of a plane that is not as its object wants it. */
function objectProblems(object: PlaneObject | undefined): Finding[] {
  const degraded = object?.status?.conditions?.find(({ type }) => type === 'Degraded');
  if (degraded?.status !== 'True') return [];
  return [{ what: `HostedControlPlane: ${degraded.message}`, anchor: 'object-not-made', severity: 'fatal' }];
}
