import { isDeepStrictEqual } from 'node:util';
import { fieldManager } from '../../src/kube/cluster.ts';
import type { ContainerStatus, KubeObject, Pod } from '../../src/kube/objects.ts';
import type { PlaneRecord } from '../../src/plane/record.ts';
import { templateHash } from '../../src/plane/workloads.ts';

/** What a real infra API did while one operation of k8sk8s ran: made by record.ts, played by player.ts. */
export interface Tape {
  about: string;
  /** Of the infra cluster. */
  kubernetes: string;
  namespace: string;
  /** RFC 3339; every time of the tape is moved by what has passed since when it is played. */
  began: string;
  /** Milliseconds. */
  lasted: number;
  /** The plane's record before, where there was a plane. */
  record?: PlaneRecord;
  /** Of the plane that is made or changed. */
  planeId?: string;
  /** What the namespace held before, but no Secrets: the player makes those anew. */
  start: KubeObject[];
  /** Answers about what is outside of the namespace, by `GET /version`. */
  reads: Record<string, Answer>;
  /** Logs, by `POD/CONTAINER` or `POD/CONTAINER previous`, as they were read last. */
  logs: Record<string, string>;
  /** What the server added to what was written or tried, in their order, by `PATCH services/etcd0`. */
  writes: Record<string, Written[]>;
  items: Item[];
}

export interface Answer {
  status: number;
  body: unknown;
}

/** Of a refusal, its Status object. */
export type Written = { adds: object } | { refused: Answer };

/** In the order in which they came; `at` in milliseconds since the beginning. */
export type Item = {
  at: number;
} /** Of `MODIFIED` the fields of metadata, spec and status that changed; null for those that are gone. */ & (
  | { event: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject }
  /** A write that controllers answer to: what follows on the tape does not come before it. `hash` is that of its pods' template. */
  | { write: string; hash?: string }
  /** All watches of these broke off. */
  | { cut: string }
);

/** Kinds that others than k8sk8s write while it waits. */
export const watchedKinds = [
  { apiVersion: 'v1', kind: 'Pod' },
  { apiVersion: 'v1', kind: 'Event' },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
];

/** Whether pods come, go or change for such a write. */
export function isCause(plural: string): boolean {
  return ['pods', 'statefulsets', 'deployments'].includes(plural);
}

const groups = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(\/namespaces\/[^/]+)?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/** `/api/v1/namespaces/team/pods/etcd-0/log` in its parts. */
export function placeOf(path: string): { namespaced: boolean; plural: string; name?: string; sub?: string } {
  const [, namespace, plural = path, name, sub] = groups.exec(path) ?? [];
  return { namespaced: namespace !== undefined, plural, name, sub };
}

/** `PATCH services/etcd0`, with ` dry` for a dry run. */
export function writeKey(method: string, path: string, query: URLSearchParams, body: unknown): string {
  const { plural, name = (body as KubeObject | undefined)?.metadata?.name } = placeOf(path);
  return `${method} ${plural}/${name}${query.get('dryRun') ? ' dry' : ''}`;
}

/** The hash of the pod template that is applied. */
export function hashIn(body: unknown): string | undefined {
  const spec = (body as { spec?: { template?: { metadata?: { annotations?: Record<string, string> } } } })?.spec;
  return spec?.template?.metadata?.annotations?.[templateHash];
}

type Parts = Record<string, Record<string, unknown>>;
const parts = ['metadata', 'spec', 'status'];

/** What of an object is not as it was, field by field of its parts. Pure. */
export function changedParts(before: KubeObject, after: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = after;
  const [old, next] = [before, after] as unknown as [Parts, Parts];
  const changed = parts.map((part) => {
    const names = new Set([...Object.keys(old[part] ?? {}), ...Object.keys(next[part] ?? {})]);
    const fields = [...names].filter((name) => !isDeepStrictEqual(old[part]?.[name], next[part]?.[name]));
    return [part, Object.fromEntries(fields.map((name) => [name, next[part]?.[name] ?? null]))] as const;
  });
  const { metadata: ours, ...others } = Object.fromEntries(
    changed.filter(([part, fields]) => part === 'metadata' || Object.keys(fields).length > 0),
  );
  return { apiVersion, kind, metadata: { name: metadata.name, ...ours }, ...others } as KubeObject;
}

/** The object after such a change. Pure. */
export function withParts(before: KubeObject, change: KubeObject): KubeObject {
  const [old, next] = [before, change] as unknown as [Parts, Parts];
  const result = { ...before } as unknown as Parts;
  for (const part of parts.filter((each) => next[each])) {
    const fields = Object.entries({ ...old[part], ...next[part] }).filter(([, value]) => value !== null);
    result[part] = Object.fromEntries(fields);
  }
  return result as unknown as KubeObject;
}

/**
 * What the server put into an object that was written, as far as it is read. Pure.
 *
 * @param isDry of a dry run: whether it is another generation depends on what was written before
 */
export function additions(
  object: KubeObject & { spec?: Record<string, unknown>; status?: object },
  isDry: boolean,
): object {
  const { metadata, kind, spec, status } = object;
  const { uid, generation, creationTimestamp } = metadata;
  const added = {
    Service: ['clusterIP', 'clusterIPs', 'ports', 'type'],
    Ingress: ['ingressClassName'],
  }[kind];
  return {
    metadata: { uid, ...(!isDry && { generation }), creationTimestamp, managedFields: noted(metadata) },
    ...(added && { spec: Object.fromEntries(added.map((field) => [field, spec?.[field]])) }),
    ...(status && { status: (trimmed(object) as { status?: object }).status }),
  };
}

/** An object without what nobody reads, what is secret, and what names the machine. Pure. */
export function trimmed<T extends KubeObject>(object: T): KubeObject {
  const { apiVersion, kind } = object;
  const head = { apiVersion, kind, metadata: metadataOf(object) };
  const rest = object as unknown as { spec?: Record<string, unknown>; status?: Record<string, unknown> };
  switch (kind) {
    case 'Pod':
      return { ...head, ...podParts(object as unknown as Pod) } as KubeObject;
    case 'Event': {
      const { reason, message, type, count, involvedObject, lastTimestamp, eventTime } = object as unknown as Record<
        string,
        unknown
      > & { involvedObject: { kind: string; name: string; uid: string } };
      const { kind: whose, name, uid } = involvedObject;
      const about = { kind: whose, name, uid };
      return {
        ...head,
        metadata: { name: object.metadata.name },
        ...{ reason, message, type, count, involvedObject: about, lastTimestamp, eventTime },
      } as KubeObject;
    }
    case 'StatefulSet':
    case 'Deployment': {
      const hash = hashIn(object);
      const template = { metadata: { annotations: { [templateHash]: hash } } };
      return { ...head, spec: { replicas: rest.spec?.replicas, template }, status: rest.status } as KubeObject;
    }
    case 'Secret':
      return head;
    default: {
      const { metadata: _, ...others } = object;
      return { ...others, ...head };
    }
  }
}

function metadataOf({ kind, metadata }: KubeObject): KubeObject['metadata'] {
  const { name, uid, generation, creationTimestamp, deletionTimestamp, labels, ownerReferences } = metadata;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith('k8sk8s.io/'));
  return {
    ...{ name, uid, generation, creationTimestamp, deletionTimestamp, labels },
    ...(kind === 'Pod' && { ownerReferences }),
    ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
    managedFields: noted(metadata),
  };
}

/** What k8sk8s itself is noted for. */
function noted({ managedFields }: KubeObject['metadata']): KubeObject['metadata']['managedFields'] {
  return managedFields
    ?.filter(({ manager }) => manager === fieldManager)
    .map(({ manager, operation, time }) => ({ manager, operation, time }));
}

function podParts({ spec, status }: Pod): object {
  const { nodeName, containers, initContainers } = spec as Pod['spec'] & { initContainers?: Pod['spec']['containers'] };
  const named = ({ name, image }: { name: string; image?: string }) => ({ name, image });
  const { phase, reason, message, conditions, containerStatuses, initContainerStatuses } = status ?? {};
  return {
    spec: { nodeName, containers: containers.map(named), initContainers: initContainers?.map(named) },
    status: {
      ...{ phase, reason, message },
      conditions: conditions?.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
      containerStatuses: containerStatuses?.map(statusParts),
      initContainerStatuses: initContainerStatuses?.map(statusParts),
    },
  };
}

function statusParts({ name, ready, started, restartCount, image, state, lastState }: ContainerStatus): object {
  return { name, ready, started, restartCount, image, state: withoutId(state), lastState: withoutId(lastState) };
}

function withoutId(state: ContainerStatus['state']): object | undefined {
  return state && JSON.parse(JSON.stringify(state, (key, value) => (key === 'containerID' ? undefined : value)));
}
