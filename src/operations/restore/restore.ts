import { PassThrough, type Readable } from 'node:stream';
import { checkFiles } from '../../access/files.ts';
import { type BackupHead, readArchive } from '../../backup/archive.ts';
import { createBackup } from '../../backup/create.ts';
import { wholeFile } from '../../backup/file.ts';
import { type Keys, openBackup, sealFor } from '../../backup/seal.ts';
import { type VerifiedBackup, verifyBackup } from '../../backup/verify.ts';
import { UserError } from '../../base/errors.ts';
import { mebibytes } from '../../base/quantity.ts';
import { toolVersion } from '../../base/version.ts';
import { command, option, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { imagesOf } from '../../config/images.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../../config/schema.ts';
import { EtcdGateway } from '../../etcd/gateway.ts';
import { presentMembers } from '../../etcd/members.ts';
import { seedEtcd } from '../../etcd/seed.ts';
import { explainCallError, isConflict } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { ConfigMap } from '../../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import type { Held } from '../../live/held.ts';
import { takeInventory } from '../../live/inventory.ts';
import { markFinished } from '../../live/record.ts';
import { readOpened } from '../../live/sealed-ca.ts';
import { withLock } from '../../live/with-plane.ts';
import { unlocked } from '../../pki/authority.ts';
import { type PlaneRecord, readRecordFields, toConfigMap } from '../../plane/record.ts';
import { readAuthority, readBundle } from '../../plane/secrets.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { demandInPlaceOf } from '../../preflight/in-place-of.ts';
import { missingRights } from '../../preflight/rights.ts';
import type { Work } from '../../ui/work.ts';
import { type DeployResult, deployHeld, type HeldDeployRequest } from '../deploy/deploy.ts';
import { destroyHeld } from '../destroy.ts';
import { refuseElsewhere, refuseTwoPlanes } from './two-planes.ts';

export interface RestoreRequest extends Work {
  file: string;
  keys: Keys;
  /** Another host than the plane had; its old one stays in the certificates. */
  asNewHost?: string;
  /** What is to be otherwise than the plane had it. */
  changes: Partial<Pick<ClusterSpecInput, 'nodePort' | 'ingressClass' | 'etcdStorage' | 'etcdStorageClass'>>;
  /** Where the plane that is there is backed up to before it is taken away; without it a plane that is there stays. */
  replace?: { safetyBackup: string };
  /** Somebody says that the old plane is down, where its addresses do not tell. */
  oldPlaneIsDown: boolean;
  files: { dir: string; force: boolean };
}

/**
 * Brings a plane back from a backup into the cluster's namespace, where there is none: the same authorities and keys, so
 * that workers and kubeconfigs go on; everything else as `deploy` makes it of the recorded spec. Killed and run again, it
 * begins anew, or, once etcd has the data, goes on.
 *
 * @throws UserError `backup-key`, `backup-damaged`, `old-plane-alive`, `namespace-has-plane`, `restore-failed`
 */
export async function restore(cluster: InfraCluster, request: RestoreRequest): Promise<DeployResult> {
  const backup = await request.reporter.during(
    `Reading ${request.file}`,
    () => verifyBackup(request.file, request.keys),
    ({ head, snapshot }) =>
      `The backup is whole: ${head.record.spec.host}, revision ${snapshot.revision}, made ${head.created}`,
  );
  const { head } = backup;
  readRecordFields(head.record, `the record in ${request.file}`);
  // Its certificates carry addresses, and it gets new ones.
  unlocked((await readOpened(cluster, backup.secrets))!.authorities.ca!);
  const spec = specOf(head, request);
  await requireRights(cluster);
  return withLock(cluster, 'restore', request, (held) => restoreHeld(held, backup, spec, request));
}

/** From the look at what the namespace holds to the last member of etcd, nobody else can change the namespace. */
async function restoreHeld(
  held: Held,
  backup: VerifiedBackup,
  spec: ClusterSpec,
  request: RestoreRequest,
): Promise<DeployResult> {
  const { cluster, reporter } = held;
  const { files } = request;
  const room = await clearAway(held, backup, spec, request);
  const hasData = room === 'has-data';
  if (room === 'empty' || room === 'replaced-itself')
    await refuseTwoPlanes(cluster, backup, request, room === 'replaced-itself');
  await runPreflight(cluster, spec, reporter, { restores: true });
  if (!hasData) {
    checkFiles(files, readAuthority(backup.secrets));
    await putRecordAndKeys(held, backup, spec);
  }
  const etcdMembers = spec.etcdStorage === 'ephemeral' ? 1 : Number(backup.head.record.spec.etcdMembers ?? 1);
  const whole = { spec: { ...spec, etcdMembers }, allowDataLoss: false, files };
  // Killed while the others joined, it goes on with those that are there.
  if (hasData && presentMembers(await Existing.read(cluster)) > 1) return joinOthers(held, whole);
  const restores = seeding(held, backup, spec, request);
  const result = await deployHeld(held, { spec, allowDataLoss: false, files, restores });
  await prove(cluster, backup, held.signal);
  if (etcdMembers === 1) {
    await markFinished(held, 'restore');
    return result;
  }
  reporter.line(`The data is back, with one member of etcd; it had ${etcdMembers}: the others join it now`);
  return joinOthers(held, whole);
}

/** The end of a deploy is the end of the restore: until then the same command goes on. */
async function joinOthers(held: Held, request: HeldDeployRequest): Promise<DeployResult> {
  const { cluster, reporter } = held;
  try {
    await runPreflight(cluster, request.spec, reporter);
    return await deployHeld(held, request);
  } catch (error) {
    reporter.warn(
      words`the plane is restored and answers, with fewer members than it had. The rest: ${command('deploy', cluster.namespace, field('etcdMembers', request.spec.etcdMembers))}`,
    );
    throw error;
  }
}

/** Gives the backup's data to the first member of etcd. */
function seeding(
  { cluster, reporter, timeout }: Held,
  { head, snapshot }: VerifiedBackup,
  spec: ClusterSpec,
  { file, keys }: RestoreRequest,
): HeldDeployRequest['restores'] {
  return ({ storage, workload }, signal) =>
    reporter.during("Giving etcd the backup's data", (phase) =>
      seedEtcd(cluster, {
        planeId: head.record.planeId,
        member: 0,
        workload,
        storage,
        nodeImage: imagesOf(spec).node,
        snapshot: { size: snapshot.size, open: () => snapshotOf(file, keys) },
        timeout,
        progress: (bytes) => phase.update(`${mebibytes(bytes)} of ${mebibytes(snapshot.size)} MiB`),
        signal,
      }),
    );
}

/** What deploy does not need: a pod that takes the snapshot in. */
async function requireRights(cluster: InfraCluster): Promise<void> {
  const { verbs } = await missingRights(cluster, [
    { group: '', resource: 'pods', verbs: ['create', 'delete'] },
    { group: '', resource: 'pods/exec', verbs: ['get', 'create'] },
    { group: '', resource: 'pods/portforward', verbs: ['get', 'create'] },
  ]);
  if (verbs.length === 0) return;
  throw new UserError({
    what: `rights are missing in namespace "${cluster.namespace}": ${verbs.join('; ')}`,
    why: 'the data of the backup goes into etcd by a pod of its own',
    fix: 'ask the administrator of the infra cluster for templates/rights/namespace-admin.yaml; nothing was changed',
    anchor: 'rights',
    kind: 'refused',
  });
}

/** What the plane was, but for what the person wants otherwise. Pure. */
export function specOf(
  { record, addresses }: Pick<BackupHead, 'record' | 'addresses'>,
  { asNewHost, changes }: Pick<RestoreRequest, 'asNewHost' | 'changes'>,
): ClusterSpec {
  const { host, sans = [], ...kept } = record.spec;
  const moved = asNewHost !== undefined && asNewHost !== host;
  // Workers and pods may know the port's number, unless they have to be told a new host anyway.
  if (!moved && kept.allocateNodePorts !== false) kept.nodePort = addresses.nodePort;
  if (changes.nodePort !== undefined && kept.expose === 'nodeport') delete kept.port;
  if (changes.etcdStorage !== undefined) delete kept.etcdStorageClass;
  const spec = parseSpec(
    {
      ...kept,
      host: asNewHost ?? host,
      // Whoever is led here by the old name is let in.
      sans: moved ? [...new Set([...sans, host])] : sans,
      ...Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)),
      // It ran once, so it is no choice of now.
      allowUntestedVersion: true,
      // One member gets the backup's data; the others join it.
      etcdMembers: 1,
    },
    'in the options of restore',
  );
  return { ...spec, allowUntestedVersion: kept.allowUntestedVersion ?? false };
}

/**
 * What the namespace holds when it was made ready. `has-data`: an earlier restore of this backup came as far as etcd's data, so that
 * the rest is what `deploy` does. `replaced-…`: the plane of the backup, or another one, was taken away just now.
 */
type Room = 'empty' | 'has-data' | 'replaced-itself' | 'replaced-another';

/**
 * An unfinished restore's remains hold nothing that the backup does not; a plane is taken away only where that was asked
 * for, where the one of the backup can come in its place, and never without a backup of it.
 */
async function clearAway(
  held: Held,
  backup: VerifiedBackup,
  spec: ClusterSpec,
  request: RestoreRequest,
): Promise<Room> {
  const { cluster, reporter } = held;
  const { replace } = request;
  const inventory = await takeInventory(cluster);
  const { record, owned, pods } = inventory;
  if (owned.length + pods.length === 0) return 'empty';
  let room: Room = 'empty';
  if (record?.phase === 'restoring') {
    reporter.line('An earlier restore was not finished: what it left is taken away first');
  } else if (record?.unfinished?.restore?.backup === backup.head.created) {
    reporter.line('An earlier restore of this backup was not finished: going on with it');
    return 'has-data';
  } else if (replace) {
    // The plane of the backup may be the one that is to be replaced.
    room = record?.planeId === backup.head.record.planeId ? 'replaced-itself' : 'replaced-another';
    await (room === 'replaced-itself' ? refuseElsewhere(cluster, backup) : refuseTwoPlanes(cluster, backup, request));
    checkFiles(request.files, readAuthority(backup.secrets));
    await reporter.during('Checking what the plane of the backup needs in the place of the one that is there', () =>
      demandInPlaceOf(cluster, record, spec),
    );
    await saveBefore(held, backup, replace.safetyBackup, request);
  } else throw hasPlane(cluster.namespace, record);
  await destroyHeld(held, record);
  return room;
}

/** The plane that is there, in a file that is opened by what opens the backup. */
async function saveBefore(
  { cluster, reporter, signal }: Held,
  { sealed }: VerifiedBackup,
  file: string,
  { keys }: RestoreRequest,
): Promise<void> {
  try {
    await reporter.during(
      'Backing up the plane that is there',
      async (phase) => {
        const how = sealed ? await sealFor(keys) : 'plaintext';
        await wholeFile(file, (write) => createBackup(cluster, { seal: how, write, phase, signal }));
      },
      `The plane that is there is backed up in "${file}"`,
    );
  } catch (error) {
    if (!(error instanceof UserError) || signal.aborted) throw error;
    throw new UserError({
      what: 'the plane that is there cannot be backed up, so it is not replaced',
      why: error.message,
      fix: words`fix that; or, when nothing in it is worth keeping, delete it yourself (${command('destroy', cluster.namespace)}) and restore without ${option('replace')}`,
      anchor: 'namespace-has-plane',
      cause: error,
    });
  }
}

function hasPlane(namespace: string, record: PlaneRecord | undefined): UserError {
  return new UserError({
    what: `namespace "${namespace}" holds a plane already${record ? ` (${record.spec.host})` : ''}`,
    why: 'a backup is restored into a namespace without one',
    fix: words`use another namespace; or take that plane away first (${command('destroy', namespace)}), or add ${option('replace')}, which backs it up before`,
    anchor: 'namespace-has-plane',
    kind: 'refused',
  });
}

/** From here on `deploy` knows that the plane is not whole, until etcd has its data. */
async function putRecordAndKeys(
  { cluster, reporter }: Held,
  { head, secrets }: VerifiedBackup,
  spec: ClusterSpec,
): Promise<void> {
  const { planeId, issuers, losses, earlierHosts, unexposedHosts } = head.record;
  const record: PlaneRecord = {
    planeId,
    toolVersion: toolVersion(),
    spec,
    issuers,
    ...(losses !== undefined && { losses }),
    ...(earlierHosts && spec.host === head.record.spec.host && { earlierHosts, unexposedHosts }),
    unfinished: { restore: { since: new Date().toISOString(), backup: head.created } },
    phase: 'restoring',
  };
  await cluster.create<ConfigMap>(toConfigMap(record)).catch((error) => {
    if (isConflict(error))
      throw new UserError({
        what: `another command has just made a plane in namespace "${cluster.namespace}"`,
        fix: 'use another namespace',
        anchor: 'namespace-has-plane',
      });
    throw explainCallError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
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
    fix: words`take it away (${command('destroy', cluster.namespace)}) and restore again; report this if it stays so`,
    anchor: 'restore-failed',
  });
}
