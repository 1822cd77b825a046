import { PassThrough, type Readable } from 'node:stream';
import { type DeployResult, deploy } from '../deploy.ts';
import { destroy } from '../destroy.ts';
import { UserError } from '../errors.ts';
import { takeInventory } from '../inventory.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import { explainInfraError, isConflict } from '../kube/errors.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../plane/apply.ts';
import { EtcdGateway } from '../plane/etcd-gateway.ts';
import { readBundle } from '../plane/secrets.ts';
import { chooseStorage } from '../plane/storage.ts';
import { runPreflight } from '../preflight/run.ts';
import { type PlaneRecord, toConfigMap } from '../record.ts';
import { type ClusterSpec, type ClusterSpecInput, imagesOf, parseSpec } from '../spec.ts';
import type { Reporter } from '../ui/reporter.ts';
import { toolVersion } from '../version.ts';
import { type BackupHead, readArchive } from './archive.ts';
import { mebibytes } from './create.ts';
import { lookForOldPlane } from './old-plane.ts';
import { type Keys, openBackup } from './seal.ts';
import { seedEtcd } from './seed.ts';
import { type VerifiedBackup, verifyBackup } from './verify.ts';

export interface RestoreRequest {
  file: string;
  keys: Keys;
  /** Another host than the plane had; its old one stays in the certificates. */
  asNewHost?: string;
  /** What is to be otherwise than the plane had it. */
  changes: Partial<Pick<ClusterSpecInput, 'nodePort' | 'etcdStorage' | 'etcdStorageClass'>>;
  /** Somebody says that the old plane is down, where its addresses do not tell. */
  oldPlaneIsDown: boolean;
  reporter: Reporter;
  /** Milliseconds for each step. */
  timeout: number;
  signal: AbortSignal;
  files: { dir: string; force: boolean };
}

/**
 * Brings a plane back from a backup into the cluster's namespace, where there is none: the same authorities and keys, so
 * that workers and kubeconfigs go on; everything else as `deploy` makes it of the recorded spec. Killed anywhere and run
 * again, it begins anew.
 *
 * @throws UserError `backup-key`, `backup-damaged`, `old-plane-alive`, `namespace-has-plane`, `restore-failed`
 */
export async function restore(cluster: InfraCluster, request: RestoreRequest): Promise<DeployResult> {
  const { reporter } = request;
  const phase = reporter.begin(`Reading ${request.file}`);
  const backup = await verifyBackup(request.file, request.keys).catch((error) => {
    phase.fail();
    throw error;
  });
  const { head, snapshot } = backup;
  phase.done(`The backup is whole: ${head.record.spec.host}, revision ${snapshot.revision}, made ${head.created}`);
  const spec = specOf(head, request);
  await clearAway(cluster, request);
  await refuseTwoPlanes(backup, request);
  await runPreflight(cluster, spec, reporter);
  if ((await chooseStorage(cluster, spec, await Existing.read(cluster), undefined)).storage.kind === 'ephemeral')
    throw needsVolume(cluster);
  await putRecordAndKeys(cluster, backup, spec, reporter);
  const result = await deploy(cluster, {
    ...request,
    spec,
    allowDataLoss: false,
    restores: async ({ storage, workload }, signal) => {
      if (storage.kind !== 'volume') throw needsVolume(cluster);
      const sending = reporter.begin('Filling the volume of etcd');
      try {
        await seedEtcd(cluster, {
          planeId: head.record.planeId,
          workload,
          storage,
          nodeImage: imagesOf(spec).node,
          snapshot: { size: snapshot.size, open: () => snapshotOf(request.file, request.keys) },
          timeout: request.timeout,
          progress: (bytes) => sending.update(`${mebibytes(bytes)} of ${mebibytes(snapshot.size)} MiB`),
          signal,
        });
      } catch (error) {
        sending.fail();
        throw error;
      }
      sending.done();
    },
  });
  await prove(cluster, backup, request.signal);
  return result;
}

/** What the plane was, but for what the person wants otherwise. */
function specOf({ record, addresses }: BackupHead, { asNewHost, changes }: RestoreRequest): ClusterSpec {
  const { host, sans = [], ...kept } = record.spec;
  const moved = asNewHost !== undefined && asNewHost !== host;
  // Workers and pods may know the port's number, unless they have to be told a new host anyway.
  if (!moved) kept.nodePort = addresses.nodePort;
  if (changes.nodePort !== undefined && kept.expose === 'nodeport') delete kept.port;
  if (changes.etcdStorage !== undefined) delete kept.etcdStorageClass;
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  return parseSpec(
    {
      ...kept,
      host: asNewHost ?? host,
      // Whoever is led here by the old name is let in.
      sans: moved ? [...new Set([...sans, host])] : sans,
      allowUntestedVersion: true,
      ...given,
    },
    'the options of restore',
  );
}

/** An unfinished restore's remains hold nothing that the backup does not; a plane is another matter. */
async function clearAway(cluster: InfraCluster, { reporter, timeout, signal }: RestoreRequest): Promise<void> {
  const inventory = await takeInventory(cluster);
  if (inventory.owned.length + inventory.pods.length === 0) return;
  if (inventory.record?.phase !== 'restoring')
    throw new UserError({
      what: `namespace "${cluster.namespace}" holds a plane already${inventory.record ? ` (${inventory.record.spec.host})` : ''}`,
      why: 'a backup is restored into a namespace without one',
      fix: `use another namespace, or take that plane away first: k8sk8s destroy -n ${cluster.namespace}`,
      anchor: 'namespace-has-plane',
      exitCode: 2,
    });
  reporter.line('An earlier restore was not finished: what it left is taken away first');
  await destroy(cluster, { inventory, reporter, timeout, signal });
}

/** Two planes of one authority would both be obeyed, and each would write what the other does not know. */
async function refuseTwoPlanes({ head, secrets }: VerifiedBackup, { oldPlaneIsDown }: RestoreRequest): Promise<void> {
  const authority = readBundle(secrets)!.authorities.ca!.certificate;
  const { alive, silent } = await lookForOldPlane(head, authority);
  if (alive.length > 0)
    throw new UserError({
      what: `the plane that was backed up still answers at ${alive.join(' and ')}`,
      why: 'two planes with the same authorities would be taken for one, and each would lack what the other is told',
      fix: `take it away first (it was in namespace ${head.namespace}): k8sk8s destroy -n ${head.namespace}`,
      anchor: 'old-plane-alive',
      exitCode: 2,
    });
  if (silent.length > 0 && !oldPlaneIsDown)
    throw new UserError({
      what: `it cannot be seen from here whether the plane that was backed up is down`,
      why: `nothing answers at ${silent.join(' and ')}, which may be because of the network`,
      fix: 'make sure that it is, and add --old-plane-is-down',
      anchor: 'old-plane-alive',
      exitCode: 2,
    });
}

function needsVolume({ namespace }: InfraCluster): UserError {
  return new UserError({
    what: `etcd would be ephemeral in namespace "${namespace}", and a backup is restored onto a volume`,
    why: "the data of an ephemeral etcd begins and ends with its pod, so there is no place to put the backup's",
    fix: 'give it a volume: --etcd-storage 5Gi, with --etcd-storage-class NAME where the infra cluster has no default class',
    anchor: 'storage-class',
    exitCode: 2,
  });
}

/** From here on `deploy` knows that the plane is not whole, until etcd has its data. */
async function putRecordAndKeys(
  cluster: InfraCluster,
  { head, secrets }: VerifiedBackup,
  spec: ClusterSpec,
  reporter: Reporter,
): Promise<void> {
  const { planeId, issuers, losses } = head.record;
  const record: PlaneRecord = {
    planeId,
    toolVersion: toolVersion(),
    spec,
    issuers,
    ...(losses !== undefined && { losses }),
    phase: 'restoring',
  };
  await cluster.create<ConfigMap>(toConfigMap(record)).catch((error) => {
    if (isConflict(error))
      throw new UserError({
        what: `another command has just made a plane in namespace "${cluster.namespace}"`,
        fix: 'use another namespace',
        anchor: 'namespace-has-plane',
      });
    throw explainInfraError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
  });
  await applyAll(cluster, planeId, secrets, await Existing.read(cluster), nothingApplied(), reporter);
}

/** The snapshot of a backup that was found whole before. */
function snapshotOf(file: string, keys: Keys): Readable {
  const snapshot = new PassThrough();
  const read = async () => {
    const { content } = await openBackup(file, keys);
    await readArchive(content, {
      snapshot: (chunk) =>
        new Promise((resolve, reject) => snapshot.write(chunk, (error) => (error ? reject(error) : resolve()))),
    });
    snapshot.end();
  };
  read().catch((error) => snapshot.destroy(error));
  return snapshot;
}

/** The store that answers is the one of the backup, and further on than anybody can have seen. */
async function prove(cluster: InfraCluster, { secrets, snapshot }: VerifiedBackup, signal: AbortSignal): Promise<void> {
  const { revision } = await EtcdGateway.ofPod(cluster, readBundle(secrets)!, 'etcd-0').status(signal);
  if (revision > snapshot.revision) return;
  throw new UserError({
    what: 'the plane answers, but not with the data of the backup',
    why: `its etcd is at revision ${revision}, and the backup at ${snapshot.revision}`,
    fix: `take it away (k8sk8s destroy -n ${cluster.namespace}) and restore again; report this if it stays so`,
    anchor: 'restore-failed',
  });
}
