import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, Job, KubeObject, Lease } from '../kube/objects.ts';
import { resourceOf } from '../kube/resources.ts';
import { besideNames } from '../plane/beside/lookup.ts';
import { componentNames } from '../plane/components/lookup.ts';
import { kindsOfComponents, planeKinds } from '../plane/kinds.ts';
import { anyPlaneSelector, lifetimeKind, lifetimeName, partOf, recordName } from '../plane/names.ts';
import { type PlaneRecord, parseRecordIfWhole } from '../plane/record.ts';
import { adminSecret } from '../plane/secrets.ts';

/** What is in a namespace, as far as destroy is concerned. */
export interface Inventory {
  record: PlaneRecord | undefined;
  /** Objects of k8sk8s that carry the record's identity; of all planes when there is no record. */
  owned: KubeObject[];
  /** Pods of those, which go with them; they are counted until they are gone. */
  pods: KubeObject[];
  /** Objects of k8sk8s with another identity than the record's: another plane's, left alone. */
  otherPlanes: KubeObject[];
  /** Objects of others with a name that is easily mistaken for one of ours. */
  lookalikes: KubeObject[];
  lease: Lease | undefined;
  /** The Job by which the plane's life ends, where it does so by itself. */
  lifetime: Job | undefined;
}

/**
 * Lists everything that is k8sk8s's in the namespace. Nothing is taken from memory, so it is right on half-made planes too.
 *
 * @throws UserError `record-newer`: a newer k8sk8s may have made kinds of objects that this one does not list
 */
export async function takeInventory(cluster: InfraCluster): Promise<Inventory> {
  const read = async <T extends KubeObject>(apiVersion: string, kind: string, labelSelector?: string): Promise<T[]> => {
    try {
      return (await cluster.list<T>({ apiVersion, kind }, { labelSelector })).items;
    } catch (error) {
      throw explainCallError(
        error,
        `list the ${resourceOf({ apiVersion, kind }).plural} of namespace "${cluster.namespace}"`,
      );
    }
  };
  const [lists, pods, leases, lifetime] = await Promise.all([
    Promise.all(planeKinds.map(({ apiVersion, kind }) => read(apiVersion, kind))),
    read('v1', 'Pod', anyPlaneSelector),
    read<Lease>('coordination.k8s.io/v1', 'Lease', anyPlaneSelector),
    cluster.get<Job>(lifetimeKind, lifetimeName),
  ]);
  const all = lists.flat();
  const recordObject = all.find(
    (object) => object.kind === 'ConfigMap' && object.metadata.name === recordName && isOurs(object),
  );
  const record = recordObject && parseRecordIfWhole(recordObject as ConfigMap);
  const mine = (object: KubeObject) => record === undefined || instanceOf(object) === record.planeId;
  const ours = all.filter(isOurs);
  return {
    record,
    owned: ours.filter(mine),
    pods: pods.filter(mine),
    otherPlanes: ours.filter((object) => !mine(object)),
    lookalikes: all.filter((object) => !isOurs(object) && isConfusing(object.metadata.name)),
    lease: leases.find((lease) => lease.metadata.name === recordName),
    lifetime,
  };
}

const ourNames = [
  ...componentNames,
  ...besideNames,
  ...kindsOfComponents.flatMap(({ names }) => names),
  adminSecret.name,
  recordName,
];

function isConfusing(name: string): boolean {
  return ourNames.some((ours) => name.startsWith(ours));
}

function isOurs(object: KubeObject): boolean {
  return (
    object.metadata.labels?.['app.kubernetes.io/part-of'] === partOf &&
    object.metadata.labels['app.kubernetes.io/managed-by'] === partOf
  );
}

function instanceOf(object: KubeObject): string | undefined {
  return object.metadata.labels?.['app.kubernetes.io/instance'];
}
