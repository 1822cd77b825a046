import type { Finding } from '../../base/errors.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject, Secret } from '../../kube/objects.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import type { Addresses } from '../addresses.ts';
import type { PlaneKind } from '../components/component.ts';
import type { PlaneRecord } from '../record.ts';
import type { Storage } from '../storage.ts';

/**
 * What a plane has beside its control plane, in pods of the same namespace. The plane does without: what fails there stops no
 * deploy and no upgrade. Its folder holds this and its templates; table.ts lists the folders
 * (docs/adr/0060-beside-a-plane.md).
 */
export interface BesidePlane<Name extends string = string> {
  /** Of its workload, its first container, its policy and its Secret; `resources` takes it. */
  name: Name;
  kind: 'Deployment' | 'StatefulSet';
  /** How many pods it has; 0: the spec wants none. */
  replicas(spec: ClusterSpec): number;
  /** Full name of the image of its first container. */
  image(spec: ClusterSpec): string;
  /** Containers that k8sk8s puts into its pods, the one with its own name first. */
  containers: string[];
  /**
   * Kinds of its objects, all of its own name. The last one is the last one that is deleted where the spec wants none any more: by it
   * deploy sees that something is left to do.
   */
  kinds: PlaneKind[];
  /** Its objects but for its Secret, labels included; asked only where the spec wants it. Pure. */
  objects(source: BesideSource): KubeObject[];
  /** The Secret that its pods mount, where it has one that does not need the hosted API. @param before what the plane has by now */
  secret?(planeId: string, before: Secret | undefined): Secret;
  /** A pod as it is tried before it is made, without what is not there yet. Pure. */
  trialPod(planeId: string, spec: ClusterSpec): KubeObject;
  /**
   * When it ends where the plane falls asleep: before the control plane, of whose API its pods are clients, or after it, whose last
   * words it reads. Where a plane is made or wakes, it comes in the opposite order.
   */
  ends: 'before' | 'after';
  /** In sentences: `what keeps the logs`, what is so once it is Ready, and the data of a claim that stays when it is deleted. */
  called: { itself: string; done: string; data?: string };
  /** Its name in what `status` prints as JSON. */
  statusName: string;
  /** What is to be said of it, if anything. Pure. */
  problem(status: BesideStatus, namespace: string): Finding | undefined;
}

/** What its objects follow from. */
export interface BesideSource {
  planeId: string;
  spec: ClusterSpec;
  storage: Storage;
  /** Of a plane; none in a dry run. */
  plane?: Pick<PlaneRecord, 'infraServices'> & { addresses: Addresses; bundle: PkiBundle };
  /** It has no pods then. */
  asleep?: boolean;
}

/** What is known of its pods. */
interface BesideStatus {
  name: string;
  ready: boolean;
  /** Pods that are ready, of those that are wanted: `2/3`. */
  count: string;
  /** Why it is not ready, as the infra cluster says it. */
  problem?: string;
  /** What it says of itself, where it can be asked. */
  report?: { trouble?: string; full?: boolean };
}
