import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { checkFiles, type FilesResult, writeFiles } from '../../access/files.ts';
import { UserError } from '../../base/errors.ts';
import { toolVersion } from '../../base/version.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { presentMembers } from '../../etcd/members.ts';
import { buildAddons, kubeletClientsBinding, outdatedAddons } from '../../hosted/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import { keepPolicy, plantPolicy } from '../../hosted/bootstrap-policy/plant.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type Secret, type Service } from '../../kube/objects.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { chooseStorage, removeEtcd } from '../../live/choose-storage.ts';
import { connectAsAdministrator } from '../../live/open.ts';
import { PodWatch } from '../../live/pod-watch.ts';
import { ensureRecord, readRecord } from '../../live/record.ts';
import { readOpened, sealingOf } from '../../live/sealed-ca.ts';
import { type Held, withLock } from '../../live/with-plane.ts';
import { ensureCertificates } from '../../pki/certificates.ts';
import { describeDays } from '../../pki/inspect.ts';
import { type Addresses, addressesOf, buildIngress, buildServices, loadBalancerIp } from '../../plane/addresses.ts';
import { isRestoring, type PlaneRecord } from '../../plane/record.ts';
import { certificateContext } from '../../plane/render.ts';
import { readAuthority } from '../../plane/secrets.ts';
import { describeStorage } from '../../plane/storage.ts';
import { runPreflight } from '../../preflight/run.ts';
import { waitAvailable, waitComponentsReady } from '../../rollout/available.ts';
import {
  type ControlPlaneRequest,
  closeCluster,
  ensureControlPlane,
  type PlaneInMaking,
  writeRecord,
} from '../../rollout/control-plane.ts';
import type { Reporter } from '../../ui/reporter.ts';
import type { Work } from '../../ui/work.ts';
import { chooseSpecFor, type SpecChoice } from './spec-choice.ts';

export interface DeployOptions extends Pick<ControlPlaneRequest, 'allowDataLoss'> {
  /** Where the kubeconfigs go; none for an operator, which has no disk. */
  files?: { dir: string; force: boolean };
}

export interface HeldDeployRequest extends DeployOptions, Pick<ControlPlaneRequest, 'restores'> {
  spec: ClusterSpec;
}

/** What the steps of a deploy are told. */
interface StepRequest extends ControlPlaneRequest {
  files: DeployOptions['files'];
}

export interface DeployResult {
  planeId: string;
  addresses: Addresses;
  serverVersion: string;
  /** Objects of the namespace and of the hosted cluster. */
  applied: Applied;
  issuedCertificates: string[];
  files?: FilesResult;
}

/**
 * Makes, or mends, the hosted cluster that `spec` describes in the cluster's namespace. Every step is an ensure: killed
 * anywhere and run again it goes on with the same authorities and the same objects; on a healthy plane it changes nothing.
 *
 * @throws UserError when something is wrong that the person can do something about
 */
export async function deploy(
  cluster: InfraCluster,
  { choose, ...request }: DeployOptions & Work & { choose: SpecChoice },
): Promise<DeployResult> {
  const before = await chooseSpecFor(cluster, choose);
  await runPreflight(cluster, before.spec, request.reporter);
  return withLock(cluster, 'deploy', request, async (held) => {
    const { allowDataLoss, files } = request;
    const recorded = await readRecord(cluster);
    if (isDeepStrictEqual(recorded, before.recorded))
      return deployHeld(held, { spec: before.spec, allowDataLoss, files });
    held.reporter.line('The plane was changed by another command meanwhile: it is looked at again');
    const spec = choose(recorded);
    await runPreflight(cluster, spec, held.reporter);
    return deployHeld(held, { spec, allowDataLoss, files });
  });
}

/** deploy in a namespace whose lock is held, after preflight. The spec is as the record under the lock lets it be. */
export async function deployHeld(held: Held, options: HeldDeployRequest): Promise<DeployResult> {
  const { cluster, reporter, timeout, signal: stop } = held;
  const { spec } = options;
  const request: StepRequest = { files: options.files, ...options, reporter, timeout };
  const applied = nothingApplied();
  let diagnosis: PodWatch | undefined;
  let hosted: HostedCluster | undefined;
  try {
    let existing = await Existing.read(cluster);
    if (request.files) checkFiles(request.files, readAuthority(existing.ofKind('Secret')));
    const { asleep, ...record }: PlaneRecord = await ensureRecord(cluster, spec, toolVersion());
    if (record.phase === 'restoring' && !request.restores) throw unfinishedRestore(cluster.namespace);
    if (asleep?.snapshot) throw snapshotAsleep(cluster.namespace);
    if (asleep) reporter.line(`The plane has slept since ${asleep.since}: deploy wakes it`);
    if ((asleep?.replicas.etcd ?? spec.etcdMembers) !== spec.etcdMembers) throw membersAsleep(cluster.namespace);
    const { storage, replaces } = await chooseStorage(cluster, spec, existing, record);
    if (storage.kind === 'ephemeral') reporter.warn(`etcd is ephemeral: ${describeStorage(storage).loses}`);
    if (replaces) {
      await removeEtcd(cluster, existing, request.timeout, stop);
      existing = await Existing.read(cluster);
    }
    diagnosis = new PodWatch(cluster, record.planeId);

    const addresses = await ensureAddresses(cluster, record, request, existing, applied, stop);
    stop.throwIfAborted();
    const { bundle, issued, renewed } = await ensureCertificates(
      await readOpened(cluster, existing.ofKind<Secret>('Secret')),
      certificateContext(cluster.namespace, spec, addresses),
      { keyType: spec.keyType, sealing: sealingOf(spec, cluster) },
    );
    for (const name of issued) reporter.debug(`certificate ${name} issued`);
    for (const { name, daysLeft } of renewed) reporter.line(`certificate ${name} renewed, ${describeDays(daysLeft)}`);
    stop.throwIfAborted();
    const plane: PlaneInMaking = {
      cluster,
      record,
      addresses,
      storage,
      bundle,
      existing,
      applied,
      request,
      diagnosis,
      stop,
    };
    const first = record.phase === 'deploying' && presentMembers(existing) === 0;
    const startClients = await ensureControlPlane(plane);
    const answered = new AbortController();
    const planted = first && plantPolicy(cluster, bundle, spec, reporter, AbortSignal.any([stop, answered.signal]));

    hosted = await connectAsAdministrator(addresses, bundle);
    let serverVersion = await available(hosted, diagnosis, request, stop, startClients).finally(() => answered.abort());
    await planted;
    if (record.phase === 'available' && (await lostItsData(hosted))) {
      reporter.warn(
        `etcd lost its data${storage.kind === 'ephemeral' ? ', as an ephemeral one does with its pod' : ': its volume is not the one that it had'}. The cluster begins anew; restart the kubelets of its workers.`,
      );
      // API servers that remember the old data hand out addresses and versions of it.
      record.losses = (record.losses ?? 0) + 1;
      await writeRecord(cluster, record, spec, addresses, 'available');
      const startMissing = await ensureControlPlane({ ...plane, existing: await Existing.read(cluster) });
      serverVersion = await available(hosted, diagnosis, request, stop, startMissing);
    }
    reporter.line('Deploying child cluster assets');
    await applyAddons(hosted, buildAddons(spec, addresses, bundle.authorities), applied, held);
    await removeOutdated(hosted, outdatedAddons(record.spec.egress ?? spec.egress, spec), held);
    stop.throwIfAborted();
    const files = request.files && (await writeFiles({ ...request.files, spec, addresses, bundle, hosted, reporter }));
    await waitComponentsReady(diagnosis, request.timeout, stop);
    // A restore that was killed after etcd had its data is finished by now, and its plane is one like any other.
    if (!request.restores && isRestoring(record)) record.finishing = undefined;
    if (record.phase !== 'available') await closeCluster(plane);
    await writeRecord(cluster, record, spec, addresses, 'available');
    if (first) await keepPolicy(hosted, spec, reporter);
    return { planeId: record.planeId, addresses, serverVersion, applied, issuedCertificates: issued, files };
  } catch (error) {
    sayWhatExists(cluster, applied, reporter);
    throw error;
  } finally {
    diagnosis?.close();
    await hosted?.close();
  }
}

/** The services and the ingress come first: the addresses that they get go into the certificates. */
async function ensureAddresses(
  cluster: InfraCluster,
  record: PlaneRecord,
  request: StepRequest,
  existing: Existing,
  applied: Applied,
  stop: AbortSignal,
): Promise<Addresses> {
  const { spec, reporter } = request;
  const members = Math.max(presentMembers(existing), spec.etcdMembers);
  const objects = [...buildServices(record.planeId, spec, members), ...buildIngress(record.planeId, spec)];
  const now = await applyAll(cluster, record.planeId, objects, existing, applied, reporter);
  const services = now.filter((object) => object.kind === 'Service') as Service[];
  const told = spec.inCluster === 'loadbalancer' ? await balanced(cluster, services, request, stop) : services;
  return addressesOf(spec, told, record.issuers);
}

/** The services once the load balancer has given the API server's its address, which the API server has to publish. */
async function balanced(
  cluster: InfraCluster,
  services: Service[],
  { reporter, timeout }: StepRequest,
  stop: AbortSignal,
): Promise<Service[]> {
  const phase = reporter.begin('Waiting for the load balancer of service "apiserver"');
  const deadline = Date.now() + timeout;
  let now = services;
  while (!now.some(loadBalancerIp)) {
    const hostname = now.flatMap(({ status }) => status?.loadBalancer?.ingress ?? []).find((each) => each.hostname);
    if (hostname || Date.now() > deadline) {
      phase.fail();
      throw noLoadBalancer(cluster.namespace, hostname?.hostname, timeout);
    }
    await sleep(100, undefined, { signal: stop });
    now = await Promise.all(
      services.map(async (each) => (await cluster.get<Service>(each, each.metadata.name)) ?? each),
    );
  }
  phase.done();
  return now;
}

function noLoadBalancer(namespace: string, hostname: string | undefined, timeout: number): UserError {
  return new UserError({
    what: 'the infra cluster gives the service "apiserver" no address of a load balancer',
    why: hostname
      ? `its load balancer has a name, ${hostname}, and endpoints of the service kubernetes can only be addresses`
      : `none came within ${Math.round(timeout / 1000)} s: the cluster may have no load balancer, or no address left`,
    fix: `look at: kubectl -n ${namespace} describe service apiserver; or use --in-cluster node or loopback, which need none`,
    anchor: 'no-load-balancer',
  });
}

/** An etcd that deploy starts would begin empty. */
function snapshotAsleep(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" sleeps, and what its ephemeral etcd held lies in a snapshot`,
    fix: `wake it first with: k8sk8s wake -n ${namespace}, which gives it back; then deploy`,
    anchor: 'plane-asleep',
    kind: 'refused',
  });
}

/** Members are changed by members that run. */
function membersAsleep(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" sleeps, and so do the etcd members that would have to agree on another number`,
    fix: `wake it first with: k8sk8s wake -n ${namespace}; or leave --etcd-members as it was`,
    anchor: 'plane-asleep',
    kind: 'refused',
  });
}

function unfinishedRestore(namespace: string): UserError {
  return new UserError({
    what: `a restore into namespace "${namespace}" was not finished`,
    why: 'its etcd has not got the data of the backup yet, and would begin empty',
    fix: `run k8sk8s restore FILE -n ${namespace} again, which begins anew; or give up: k8sk8s destroy -n ${namespace}`,
    anchor: 'restore-unfinished',
    kind: 'refused',
  });
}

async function available(
  hosted: HostedCluster,
  diagnosis: PodWatch,
  { reporter, timeout }: StepRequest,
  stop: AbortSignal,
  onAnswer: () => Promise<void>,
): Promise<string> {
  const phase = reporter.begin('Trying to connect to the hosted control plane');
  try {
    await waitAvailable(hosted, diagnosis, { timeout, phase, signal: stop, onAnswer });
  } catch (error) {
    phase.fail();
    throw error;
  }
  phase.done('AVAILABLE !');
  const { gitVersion } = await hosted.version();
  reporter.line(`Client Version: k8sk8s v${toolVersion()}`);
  reporter.line(`Server Version: ${gitVersion}`);
  return gitVersion;
}

async function removeOutdated(
  hosted: HostedCluster,
  outdated: KubeObject[],
  { reporter, signal }: Held,
): Promise<void> {
  for (const object of outdated) {
    signal.throwIfAborted();
    if (await hosted.delete(object, object.metadata.name, object.metadata.namespace))
      reporter.line(`${nameOf(object)} deleted`);
  }
}

/** Every deploy leaves this binding; on a plane that was available only an empty etcd explains that it is gone. */
async function lostItsData(hosted: HostedCluster): Promise<boolean> {
  return (
    (await hosted.get(
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' },
      kubeletClientsBinding,
    )) === undefined
  );
}

/** Never a silent half cluster: says what is there, how to go on and how to undo it. */
function sayWhatExists(cluster: InfraCluster, applied: Applied, reporter: Reporter): void {
  if (applied.created.length + applied.changed.length === 0) return;
  const count = applied.created.length + applied.changed.length + applied.unchanged.length;
  reporter.warn(
    `not finished. ${count} objects of the plane exist in namespace "${cluster.namespace}" (${applied.created.length} made by this run).`,
  );
  reporter.warn(`To go on: run the same command again. To undo: k8sk8s destroy -n ${cluster.namespace}`);
}
