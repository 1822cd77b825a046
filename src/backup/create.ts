import type { Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { mebibytes } from '../base/quantity.ts';
import { toolVersion } from '../base/version.ts';
import { again, command, words } from '../base/words.ts';
import { EtcdGateway } from '../etcd/gateway.ts';
import type { SnapshotFacts } from '../etcd/snapshot.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod, Secret } from '../kube/objects.ts';
import { Existing } from '../live/apply.ts';
import { openPlane, type Plane, refuseAsleep } from '../live/open.ts';
import { belongsTo, planeSelector } from '../plane/names.ts';
import { recordFields } from '../plane/record.ts';
import { isStartFiles } from '../plane/start-files.ts';
import type { Phase } from '../ui/reporter.ts';
import type { BackupHead } from './archive.ts';
import type { Seal } from './seal.ts';
import { streamBackup } from './stream.ts';

export interface BackupRequest {
  seal: Seal;
  /** Gets the backup's bytes; they are worthless when it or `createBackup` throws. */
  write(content: Readable): Promise<void>;
  phase: Phase;
  signal: AbortSignal;
}

/** What a backup has of its plane, and what of it the backup has not. */
export interface BackupFacts extends SnapshotFacts {
  /** Workers that are pods: neither their images nor what is on their disks is in it. */
  workerPods: number;
  /** Whether the plane keeps its logs, which are not in it. */
  logs: boolean;
}

/**
 * A backup of the plane in the cluster's namespace: a snapshot of etcd, whose hash and revision are checked on the way, and
 * the Secrets and the record that a restore needs.
 *
 * @throws UserError `no-plane`, `plane-incomplete`, `plane-asleep`, `etcd-unreachable`, `snapshot-unsound`, `plane-changed`
 */
export async function createBackup(cluster: InfraCluster, request: BackupRequest): Promise<BackupFacts> {
  const plane = await openPlane(cluster);
  const { record } = plane;
  if (record.phase !== 'available') throw neverAvailable(cluster.namespace);
  refuseAsleep(cluster, record);
  const secrets = await ownSecrets(cluster, record.planeId);
  const { items: pods } = await cluster.pods(planeSelector(record.planeId));
  const facts = await streamBackup({
    head: headOf(cluster, plane, pods),
    secrets,
    etcd: EtcdGateway.ofPod(cluster, plane.bundle, memberToAsk(pods)),
    ...request,
    progress: (done, size) => request.phase.update(`${mebibytes(done)} of ${mebibytes(size)} MiB`),
  });
  const [now, secretsNow] = [await openPlane(cluster), await ownSecrets(cluster, record.planeId)];
  if (JSON.stringify([now.record, secretsNow.map(versionOf)]) !== JSON.stringify([record, secrets.map(versionOf)]))
    throw new UserError({
      what: 'another command changed the plane during the backup',
      why: 'the backup would contain old certificates, keys or an old spec, and data that may need the new ones',
      fix: words`wait until the other command has ended, and ${again}`,
      anchor: 'plane-changed',
    });
  return { ...facts, workerPods: plane.spec.workerPods, logs: plane.spec.logs };
}

function headOf(cluster: InfraCluster, plane: Plane, pods: Pod[]): Omit<BackupHead, 'etcd'> {
  return {
    format: 1,
    created: new Date().toISOString(),
    toolVersion: toolVersion(),
    namespace: cluster.namespace,
    record: recordFields(plane.record),
    addresses: addressesForBackup(plane, pods),
  };
}

/** The addresses at which the plane answers. */
export function addressesForBackup({ addresses }: Pick<Plane, 'addresses'>, pods: Pod[]): BackupHead['addresses'] {
  const { publicServer, workerServer, nodePort } = addresses;
  return {
    publicServer,
    workerServer,
    nodePort,
    infraNodes: [...new Set(pods.flatMap(({ status }) => status?.hostIP ?? []))],
  };
}

function neverAvailable(namespace: string): UserError {
  return new UserError({
    what: 'the plane has never been available, so there is nothing to back up',
    why: 'its first deploy or its restore is not finished',
    fix: words`run that command again (${command('deploy', namespace)}); ${command('status', namespace)} shows the state`,
    anchor: 'plane-incomplete',
  });
}

function memberToAsk(pods: Pod[]): string {
  const members = pods
    .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === 'etcd')
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const ready = members.find(({ status }) => status?.containerStatuses?.every((each) => each.ready));
  return (ready ?? members[0])?.metadata.name ?? 'etcd-0';
}

async function ownSecrets(cluster: InfraCluster, planeId: string): Promise<Secret[]> {
  const existing = await Existing.read(cluster);
  // Start files are made anew of the others and of the record.
  return existing.ofKind<Secret>('Secret').filter((secret) => belongsTo(secret, planeId) && !isStartFiles(secret));
}

const versionOf = ({ metadata: { name, resourceVersion } }: Secret) => `${name} ${resourceVersion}`;
