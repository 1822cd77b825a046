import { gunzipSync, gzipSync } from 'node:zlib';
import { UserError } from '../base/errors.ts';
import { mebibytes } from '../base/quantity.ts';
import { command, words } from '../base/words.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Secret } from '../kube/objects.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { labelsOf, planeSelector } from '../plane/names.ts';
import type { PlaneRecord, StoredSnapshot } from '../plane/record.ts';
import { EtcdGateway } from './gateway.ts';
import { SnapshotReader } from './snapshot.ts';

/** Bytes of a Secret's content; an API server takes 1 MiB (https://kubernetes.io/docs/concepts/configuration/secret/). */
const partSize = 900 * 1024;

/** Limits in bytes: of the compressed snapshot, which lies in the infra cluster's own etcd, and of the snapshot before compression. */
const most = { compressed: 16 * 2 ** 20, read: 256 * 2 ** 20 };

const kind = { apiVersion: 'v1', kind: 'Secret' };
const partName = 'etcd-snapshot-';
const nameOfPart = (part: number) => `${partName}${part}`;

/**
 * Stores an ephemeral member's data in Secrets of the namespace. Call it when nobody can write to etcd any more.
 *
 * @throws UserError `sleep-too-large`, `data-loss` when etcd is empty, `etcd-unreachable`
 */
export async function storeSnapshot(
  cluster: InfraCluster,
  record: PlaneRecord,
  bundle: PkiBundle,
  signal: AbortSignal,
): Promise<StoredSnapshot> {
  const { size, chunks } = await EtcdGateway.ofPod(cluster, bundle, 'etcd-0').snapshot(signal);
  if (size > most.read) throw tooLarge(cluster, `its etcd holds ${mebibytes(size)} MiB`);
  const reader = new SnapshotReader();
  const read: Buffer[] = [];
  for await (const chunk of chunks) {
    reader.add(chunk);
    read.push(chunk);
  }
  const { sha256, revision } = reader.finish();
  // A member begins at 1, and the first API server writes hundreds of objects.
  if (revision <= 1) throw nothingInIt(cluster);
  const compressed = gzipSync(Buffer.concat(read));
  if (compressed.length > most.compressed)
    throw tooLarge(cluster, `its etcd's snapshot has ${mebibytes(compressed.length)} MiB, compressed`);
  return { parts: await storeParts(cluster, record, compressed), size, sha256, revision };
}

/** @returns the number of Secrets */
export async function storeParts(
  cluster: InfraCluster,
  { planeId, spec }: Pick<PlaneRecord, 'planeId' | 'spec'>,
  compressed: Buffer,
): Promise<number> {
  const parts = Math.ceil(compressed.length / partSize);
  for (let part = 0; part < parts; part++) {
    const content = compressed.subarray(part * partSize, (part + 1) * partSize);
    const labels = labelsOf(planeId, 'etcd', spec.kubernetesVersion ?? '');
    const secret = {
      ...kind,
      metadata: { name: nameOfPart(part), labels },
      data: { part: content.toString('base64') },
    };
    await cluster.apply<Secret>(secret).catch((error) => {
      throw explainCallError(error, `store etcd's snapshot in secret "${nameOfPart(part)}"`);
    });
  }
  // An earlier, larger one may have had more.
  await deleteParts(cluster, planeId, parts);
  return parts;
}

/** The snapshot that `storeSnapshot` stored. @throws UserError `kept-snapshot` when it is missing or differs */
export async function storedSnapshot(cluster: InfraCluster, kept: StoredSnapshot): Promise<Buffer> {
  if (kept.parts > Math.ceil(most.compressed / partSize)) throw notWhole(cluster, `it cannot have ${kept.parts} parts`);
  const names = Array.from({ length: kept.parts }, (_, part) => nameOfPart(part));
  const secrets = await Promise.all(names.map((name) => cluster.get<Secret>(kind, name)));
  const missing = names.filter((_, index) => secrets[index]?.data?.part === undefined);
  if (missing.length > 0) throw notWhole(cluster, `missing: ${missing.join(', ')}`);
  try {
    const compressed = Buffer.concat(secrets.map((secret) => Buffer.from(secret!.data!.part!, 'base64')));
    const snapshot = gunzipSync(compressed, { maxOutputLength: most.read });
    const reader = new SnapshotReader();
    reader.add(snapshot);
    if (reader.finish().sha256 === kept.sha256) return snapshot;
  } catch (error) {
    throw notWhole(cluster, (error as Error).message);
  }
  throw notWhole(cluster, 'its hash differs from the one in the record');
}

/**
 * Deletes what is stored of a snapshot, also where the record does not name it: a run that was killed has left it. For a plane
 * that runs and has its data.
 */
export async function deleteSnapshot(cluster: InfraCluster, planeId: string): Promise<void> {
  await deleteParts(cluster, planeId, 0);
}

async function deleteParts(cluster: InfraCluster, planeId: string, from: number): Promise<void> {
  const labelSelector = `${planeSelector(planeId)},app.kubernetes.io/name=etcd`;
  const { items } = await cluster.list(kind, { labelSelector, metadataOnly: true });
  const parts = items.filter(
    ({ metadata: { name } }) => name.startsWith(partName) && Number(name.slice(partName.length)) >= from,
  );
  for (const { metadata } of parts) await cluster.delete(kind, metadata.name, metadata.uid);
}

function tooLarge({ namespace }: InfraCluster, why: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" cannot sleep: its etcd is ephemeral, and its data is too large for Secrets`,
    why: `${why}; the limit is ${mebibytes(most.compressed)} MiB, compressed`,
    fix: words`${command('deploy', namespace)} starts it again; or use ${command('backup create', namespace, 'FILE')}, then destroy, and later restore`,
    anchor: 'sleep-too-large',
  });
}

function nothingInIt({ namespace }: InfraCluster): UserError {
  return new UserError({
    what: `the etcd of the plane in namespace "${namespace}" is empty`,
    why: 'its pod was replaced, and an ephemeral etcd loses its data with its pod',
    fix: words`start with an empty cluster: ${command('deploy', namespace)}`,
    anchor: 'data-loss',
  });
}

function notWhole({ namespace }: InfraCluster, why: string): UserError {
  return new UserError({
    what: `the snapshot of the sleeping plane in namespace "${namespace}" is not complete`,
    why,
    fix: words`restore the Secrets etcd-snapshot-* if you have a copy; or restore a backup, or start again: ${command('destroy', namespace)}`,
    anchor: 'kept-snapshot',
  });
}
