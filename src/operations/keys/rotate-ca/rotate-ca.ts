import { checkFiles } from '../../../access/files.ts';
import { UserError } from '../../../base/errors.ts';
import { command, option, words } from '../../../base/words.ts';
import type { InfraCluster } from '../../../kube/infra-cluster.ts';
import { type HeldPlane, openHeld, withPlane } from '../../../live/with-plane.ts';
import { authorityStageOf, trusted, unlocked } from '../../../pki/authority.ts';
import type { AuthorityName } from '../../../pki/table.ts';
import { runSteps } from '../../../rollout/steps.ts';
import type { Work } from '../../../ui/work.ts';
import { refuseUnpublishable } from './published.ts';
import {
  authorityOf,
  isOfEtcd,
  type Rotation,
  type RotationRequest,
  signsForWorkers,
  switchedSince,
} from './rotation.ts';
import { type RotationStatus, rotatable, statusOf, unfinishedDrops } from './rotation-status.ts';
import { rotationSteps } from './steps.ts';

/**
 * Replaces CAs, in stages in which nobody meets a certificate that is not trusted: all components trust the new CA beside
 * the old one, then the new CA signs and the certificates of the components are made anew, and when all components use those,
 * the old CA is dropped. CAs that workers know need two runs, and a visit to every worker in between. Each stage is stored
 * before it is taken: a run that was killed goes on from there when it is run again.
 *
 * @returns where all CAs stand in the end
 * @throws UserError `data-loss` where an ephemeral etcd would begin anew, `clients-untold` while somebody would be locked out
 */
export async function rotateAuthorities(
  cluster: InfraCluster,
  request: RotationRequest,
  work: Work,
): Promise<RotationStatus[]> {
  return withPlane(cluster, 'certs rotate-ca', work, (plane) => rotateAuthoritiesOf(plane, request));
}

/** rotateAuthorities of a plane whose lock is held. */
export async function rotateAuthoritiesOf(plane: HeldPlane, request: RotationRequest): Promise<RotationStatus[]> {
  const rotation = rotationOf(plane, request);
  await refuseUnpublishable(rotation);
  await runSteps(rotationSteps, rotation, plane.held.signal);
  return statusOf(await openHeld(plane.held));
}

/** What this run has to do. @throws UserError where it may not begin */
function rotationOf(plane: HeldPlane, request: RotationRequest): Rotation {
  const underWay = rotatable.filter((name) => authorityStageOf(plane.bundle.authorities[name]!) !== 'one');
  const ending = unfinishedDrops(plane.record);
  const goesOn = underWay.length > 0 || ending.length > 0;
  if (goesOn) plane.held.reporter.line(`going on with what was begun${underWay.map((name) => ` ${name}`).join(',')}`);
  const rotation = { plane, request, names: goesOn ? underWay : request.names, ending };
  if (rotation.names.includes('ca')) unlocked(authorityOf(rotation, 'ca'));
  if (!request.force) refuseDataLoss(plane, rotation.names);
  checkFiles(request.files, trusted(plane.bundle.authorities.ca!));
  return {
    ...rotation,
    usedBefore: signsForWorkers(rotation).filter((name) => switchedSince(rotation, name) !== undefined),
  };
}

/** A changed CA of etcd means new pods, and an ephemeral plane's data lives and dies with its pod. */
function refuseDataLoss({ storage, held: { cluster } }: HeldPlane, names: AuthorityName[]): void {
  const etcd = names.filter(isOfEtcd);
  if (storage.kind !== 'ephemeral' || etcd.length === 0) return;
  throw new UserError({
    what: `another ${etcd.join(' and ')} replaces the pod of etcd, and all objects of the hosted cluster would be lost with it`,
    why: 'the plane keeps its data in that pod (ephemeral storage)',
    fix: words`name the others alone, ${option('authority', rotatable.filter((name) => !isOfEtcd(name)).join(' '))}; or add ${option('yes')} when nothing in the hosted cluster is worth keeping, and run ${command('deploy', cluster.namespace)} afterwards`,
    anchor: 'data-loss',
    kind: 'refused',
  });
}
