import { PassThrough, type Readable } from 'node:stream';
import { type BackupHead, readArchive } from '../../backup/archive.ts';
import { createBackup } from '../../backup/create.ts';
import { wholeFile } from '../../backup/file.ts';
import { lookForOldPlane } from '../../backup/old-plane.ts';
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
import { InfraCluster } from '../../kube/infra-cluster.ts';
import type { ConfigMap } from '../../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import type { Held } from '../../live/held.ts';
import { takeInventory } from '../../live/inventory.ts';
import { markFinished, readRecord } from '../../live/record.ts';
import { readOpened } from '../../live/sealed-ca.ts';
import { withLock } from '../../live/with-plane.ts';
import { trusted, unlocked } from '../../pki/authority.ts';
import { type PlaneRecord, readRecordFields, toConfigMap } from '../../plane/record.ts';
import { readBundle } from '../../plane/secrets.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { missingRights } from '../../preflight/rights.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { type DeployResult, deployHeld, type HeldDeployRequest } from '../deploy/deploy.ts';
import { destroyHeld } from '../destroy.ts';

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
  const hasData = await clearAway(held, backup, request);
  if (!hasData) await refuseTwoPlanes(cluster, backup, request);
  await runPreflight(cluster, spec, reporter);
  if (!hasData) await putRecordAndKeys(held, backup, spec);
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
 * An unfinished restore's remains hold nothing that the backup does not; a plane is taken away only where that was asked
 * for, and never without a backup of it.
 *
 * @returns whether an earlier restore of this backup came as far as etcd's data, so that the rest is what `deploy` does
 */
async function clearAway(held: Held, backup: VerifiedBackup, request: RestoreRequest): Promise<boolean> {
  const { cluster, reporter } = held;
  const { replace } = request;
  const inventory = await takeInventory(cluster);
  const { record, owned, pods } = inventory;
  if (owned.length + pods.length === 0) return false;
  if (record?.phase === 'restoring') {
    reporter.line('An earlier restore was not finished: what it left is taken away first');
  } else if (record?.unfinished?.restore?.backup === backup.head.created) {
    reporter.line('An earlier restore of this backup was not finished: going on with it');
    return true;
  } else if (replace) {
    // The plane of the backup may be the one that is to be replaced.
    if (record?.planeId !== backup.head.record.planeId) await refuseTwoPlanes(cluster, backup, request);
    await saveBefore(held, backup, replace.safetyBackup, request);
  } else throw hasPlane(cluster.namespace, record);
  await destroyHeld(held, record);
  return false;
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

/** Two planes of one authority would both be obeyed, and each would write what the other does not know. */
async function refuseTwoPlanes(
  cluster: InfraCluster,
  { head, secrets }: VerifiedBackup,
  { oldPlaneIsDown, asNewHost, reporter, signal }: RestoreRequest,
): Promise<void> {
  // One that just does not answer may do so in a moment. Only where its namespace may be read, and is of this cluster.
  const there = await readRecord(new InfraCluster(cluster.transport, head.namespace)).catch(() => undefined);
  const here = there?.planeId === head.record.planeId;
  const authority = trusted(readBundle(secrets)!.authorities.ca!);
  const look = () => lookForOldPlane(head, authority, cluster.transport.connection.proxies);
  let { alive, silent } = await look();
  // An ingress controller goes on dialling the pods of a plane that was just deleted for some seconds.
  if (alive.length === 0 && silent.length > 0 && !oldPlaneIsDown)
    await waitAtMost({
      until: async () => {
        ({ alive, silent } = await look());
        return alive.length > 0 || silent.length === 0;
      },
      timeout: 10_000,
      signal,
      every: 1000,
    });
  const destroyIt = command('destroy', head.namespace);
  if (alive.length > 0 || (here && head.namespace !== cluster.namespace))
    throw new UserError({
      what: `the plane that was backed up ${alive.length > 0 ? `still answers at ${alive.join(' and ')}` : `is still in namespace ${head.namespace}`}`,
      why: 'clients take two planes with the same CAs for one, and each plane would lack the writes to the other',
      fix: here
        ? words`take it away first: ${destroyIt}`
        : words`take it away first: ${destroyIt}, with the kubeconfig of the infra cluster in which it was backed up, where that is another one than ${cluster.server}`,
      anchor: 'old-plane-alive',
      kind: 'refused',
    });
  const { publicServer } = head.addresses;
  if (silent.length > 0 && !oldPlaneIsDown)
    throw new UserError({
      what: `it cannot be seen from here whether the plane that was backed up is down`,
      why: `nothing answers at ${silent.join(' and ')}, which may be because of the network`,
      fix: words`make sure that it is down and stays so, and add ${option('oldPlaneIsDown')}`,
      anchor: 'old-plane-alive',
      kind: 'refused',
    });
  if (silent.includes(publicServer) && asNewHost === undefined)
    reporter.warn(
      `nothing answers at ${publicServer}: let ${head.record.spec.host} lead to this infra cluster, here and for workers; the plane is waited for there`,
    );
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
