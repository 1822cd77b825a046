import { isDeepStrictEqual } from 'node:util';
import { hostedControlPlane, type LifeFields, lifeFields, withoutLife } from '../config/hosted-control-plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../config/schema.ts';
import type { KubeObject } from '../kube/objects.ts';
import { unknownComponents } from '../plane/component-problems.ts';
import { type PlaneRecord, specRecorded } from '../plane/record.ts';
import { consentAnnotation } from './names.ts';

export const kind = hostedControlPlane;

/** The standard form (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties). */
export interface Condition {
  type: 'Available' | 'Progressing' | 'Degraded';
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  observedGeneration?: number;
  lastTransitionTime: string;
}

export interface Status {
  observedGeneration?: number;
  /** Generation whose change did not work on the plane, and was taken back. */
  undoneGeneration?: number;
  /** The consent that was used up last. */
  usedConsent?: string;
  /** API servers, for /scale. */
  replicas?: number;
  /** What would become of the plane now, without its object; null takes it out where that is not known. */
  deletionPolicy?: LifeFields['deletionPolicy'] | null;
  planeId?: string;
  version?: string;
  server?: string;
  workerServer?: string;
  /** When the plane was seen to be used last, where spec.sleepAfter asks for it; null takes it out, as in the next three. */
  lastUsed?: string | null;
  /** When it falls asleep if nobody uses it before. */
  sleepsAt?: string | null;
  /** When it was found unused for long enough. It sleeps from then on, until it counts as used again. */
  unusedAt?: string | null;
  /** What its API servers had been asked then: live/usage.ts. */
  usage?: string | null;
  conditions?: Condition[];
}

export interface HostedControlPlane extends KubeObject {
  spec: Partial<ClusterSpecInput> & Partial<LifeFields>;
  status?: Status;
}

/** What becomes of the plane. An object that was stored under an older definition may have fields that are none. */
export function lifeOf({ spec }: HostedControlPlane): LifeFields {
  const given = Object.keys(lifeFields.shape).map((name) => [name, spec[name as keyof LifeFields]]);
  return lifeFields.parse(Object.fromEntries(given));
}

/**
 * What the annotation of consent has to say for the change that waits now: the generation; under a generation for which a consent was
 * used up already, `GENERATION.2` and so on, because a consent is to one change. Pure.
 */
export function consentAsked({ metadata, status }: HostedControlPlane): string {
  const [used, count = '1'] = status?.usedConsent?.split('.') ?? [];
  return used === `${metadata.generation}` ? `${metadata.generation}.${Number(count) + 1}` : `${metadata.generation}`;
}

/** Whether the owner agrees to the change that is under way. Pure. */
export function consents(object: HostedControlPlane): boolean {
  return object.metadata.annotations?.[consentAnnotation] === consentAsked(object);
}

/**
 * What the plane is to be: the object is the whole truth, so a field that is taken out goes back to its default. Only the version
 * stays: where the object names none, a plane keeps the one that it was made with.
 *
 * @param recorded of the plane that there is
 * @throws UserError `bad-values`
 */
export function specOf(object: HostedControlPlane, recorded: PlaneRecord | undefined): ClusterSpec {
  const kept = recorded?.spec.kubernetesVersion ?? object.status?.version;
  const spec = parseSpec(
    { ...(kept !== undefined && { kubernetesVersion: kept, allowUntestedVersion: true }), ...withoutLife(object.spec) },
    'in the spec of the HostedControlPlane',
    unknownComponents,
  );
  // What a plane already has is no wish for versions to come, and the record would be written once more for it.
  return { ...spec, allowUntestedVersion: object.spec.allowUntestedVersion ?? false };
}

/** Whether the plane of a record is what the object wants. @throws UserError `bad-values` */
export function isAsRecorded(object: HostedControlPlane, recorded: PlaneRecord): boolean {
  return isDeepStrictEqual({ ...specOf(object, recorded), allowUntestedVersion: true }, specRecorded(recorded));
}
