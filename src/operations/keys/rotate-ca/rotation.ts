import type { HostedCluster } from '../../../kube/hosted-cluster.ts';
import { sealingOf } from '../../../live/sealed-ca.ts';
import type { HeldPlane } from '../../../live/with-plane.ts';
import { type Authority, type AuthorityStage, authorityStageOf } from '../../../pki/authority.ts';
import { ensureCertificates } from '../../../pki/certificates.ts';
import type { AuthorityName } from '../../../pki/table.ts';
import type { Component } from '../../../plane/components/lookup.ts';
import { certificateContext } from '../../../plane/render.ts';
import { rollOut } from '../../../rollout/roll-out.ts';
import type { KnownTo } from './rotation-status.ts';

export interface RotationRequest {
  /** CAs to replace. What is under way already goes on first, and that run begins nothing else. */
  names: AuthorityName[];
  /** Whether to lock out who was not told, and to replace etcd's pods although the data of an ephemeral one goes with them. */
  force: boolean;
  /** Asks the person before clients that k8sk8s cannot know are locked out. @throws UserError when the answer is no */
  agree(action: string, consequence: string): Promise<void>;
  /** Where the kubeconfigs go. */
  files: { dir: string; force: boolean };
}

/** What the steps of a rotation share. The bundle of `plane` changes as they go. */
export interface Rotation {
  readonly plane: HeldPlane;
  readonly request: RotationRequest;
  /** What this run replaces. */
  readonly names: AuthorityName[];
  /** Last steps that an earlier run began and did not end. */
  readonly ending: KnownTo[];
  /** CAs that workers know, whose new one all components used already when this run began: workers may have been told since. */
  readonly usedBefore: AuthorityName[];
}

/** What is known of a rotation before it begins. */
type Subject = Pick<Rotation, 'plane' | 'names'>;

/** CAs that workers know too, and the first of them people and pods: those have to be told before the old one goes. */
const knownToWorkers: AuthorityName[] = ['ca', 'kubelet-serving-ca'];

export const signsForWorkers = ({ names }: Subject): AuthorityName[] =>
  names.filter((name) => knownToWorkers.includes(name));

export const isOfEtcd = (name: AuthorityName): boolean => name === 'etcd-ca' || name === 'etcd-peer-ca';

export function authorityOf({ plane }: Subject, name: AuthorityName): Authority {
  return plane.bundle.authorities[name]!;
}

/** The CAs of this run that stand at `stage` now. */
export function authoritiesAt(rotation: Subject, stage: AuthorityStage): AuthorityName[] {
  return rotation.names.filter((name) => authorityStageOf(authorityOf(rotation, name)) === stage);
}

/** CAs whose new one signs, while some component may still use a certificate of the old one. */
export function authoritiesPending(rotation: Subject): AuthorityName[] {
  return rotation.names.filter((name) => authorityOf(rotation, name).switched === 'pending');
}

/** Since when all components use certificates of the new CA; undefined when that is not so, or the CA is not replaced. */
export function switchedSince(rotation: Subject, name: AuthorityName): Date | undefined {
  const { previous, switched } = authorityOf(rotation, name);
  return previous && switched !== undefined && switched !== 'pending' ? new Date(switched) : undefined;
}

/** Takes CAs to their next stage, which is stored by `reach`. */
export async function changeAuthorities(
  rotation: Subject,
  names: AuthorityName[],
  next: (authority: Authority, name: AuthorityName) => Authority | Promise<Authority>,
): Promise<void> {
  const { authorities } = rotation.plane.bundle;
  for (const name of names) authorities[name] = await next(authorityOf(rotation, name), name);
}

/** Stores the CAs as they are now, with the certificates that follow, and makes the pods of `rolled` run by them. */
export async function storeAndRollOut({ plane }: Subject, rolled: readonly Component[]): Promise<void> {
  const { bundle, spec, addresses, held } = plane;
  held.signal.throwIfAborted();
  const context = certificateContext(held.cluster.namespace, spec, addresses);
  const options = { keyType: spec.keyType, sealing: sealingOf(spec, held.cluster) };
  Object.assign(bundle, (await ensureCertificates(bundle, context, options)).bundle);
  await rollOut(held.cluster, plane, bundle, [...rolled], held);
}

/** Asks the hosted cluster. */
export async function inHosted<T>({ plane }: Subject, ask: (hosted: HostedCluster) => Promise<T>): Promise<T> {
  const hosted = await plane.connect();
  try {
    return await ask(hosted);
  } finally {
    await hosted.close();
  }
}
