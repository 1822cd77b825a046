import { checkFiles, writeFiles } from '../../access/files.ts';
import { toolVersion } from '../../base/version.ts';
import { webhooksBeforeRbac } from '../../config/authorization.ts';
import { authenticatorsOf } from '../../config/identity.ts';
import { presentMembers } from '../../etcd/members.ts';
import { deleteSnapshot } from '../../etcd/snapshots.ts';
import { buildAddons, outdatedAddons } from '../../hosted/addons/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import { stepsBeside } from '../../hosted/beside.ts';
import { keepPolicy, writePolicyToEtcd } from '../../hosted/bootstrap-policy/write-to-etcd.ts';
import { hostedPullSecret } from '../../hosted/pull-secret.ts';
import { hostedClusterUid, isSameCluster } from '../../hosted/same-cluster.ts';
import { waitUsable } from '../../hosted/usable.ts';
import { workerPodsDanger } from '../../hosted/worker-pods/ensure.ts';
import { type KubeObject, nameOf, type Secret } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { removeEtcd } from '../../live/choose-storage.ts';
import { infraIssuerUrl } from '../../live/infra-issuer.ts';
import { infraServiceNetworks } from '../../live/infra-services.ts';
import { connectAsAdministrator, unfinishedRestore } from '../../live/open.ts';
import { PodWatch } from '../../live/pod-watch.ts';
import { podsOf } from '../../live/pods.ts';
import { ensureRecord, markFinished, updateRecord } from '../../live/record.ts';
import { describeDays } from '../../pki/inspect.ts';
import { isExposure } from '../../plane/exposures/table.ts';
import { renderPlane } from '../../plane/render.ts';
import { readAuthority } from '../../plane/secrets.ts';
import { describeStorage } from '../../plane/storage.ts';
import { connectWhenAvailable, waitComponentsReady } from '../../rollout/available.ts';
import { closeCluster, ensureControlPlane, recordSpec } from '../../rollout/control-plane.ts';
import { untilTaken } from '../../rollout/exposed.ts';
import { untilHostLeft } from '../../rollout/load-balancer.ts';
import { addressesStep, certificatesStep, storageStep, webhookStep } from '../../rollout/prepare.ts';
import { describeReplacement, findReplacements } from '../../rollout/replacements.ts';
import { publishNotReady, settleService } from '../../rollout/service.ts';
import type { Step } from '../../rollout/steps.ts';
import { untilEarlierApiServersEnded } from '../../rollout/stop.ts';
import { changesIdentity, identityIn, replicasOf, waitTakenOver } from '../../rollout/taken-over.ts';
import { tryComponents } from '../../rollout/trial.ts';
import { beginWorkers, hasFirstWorkers, letFirstWorkersJoin, makeRoomForClients } from './first-workers.ts';
import { announceMove } from './move.ts';
import {
  demandNoWorkers,
  endsLeavingAlone,
  removeEarlierDrivers,
  reportManifestFindings,
  switchesNetwork,
} from './network-switch.ts';
import { answersAnew, earlierWay, keptWay, settleWay, tellerOf } from './new-way.ts';
import { membersAsleep, noRoomForTrial, snapshotAsleep } from './refusals.ts';
import { announceRelays } from './relays.ts';
import type { DeployState } from './state.ts';

/**
 * Deploy, step by step, under the lock of the namespace and after preflight. Each step is an ensure: killed anywhere and run
 * again, it goes on. A restore is the same list, with data for etcd; a dry run has the steps of rollout/prepare.ts.
 */
export const deploySteps: Step<DeployState>[] = [
  { name: 'files-checked', applies: ({ files }) => files !== undefined, run: checkTheFiles },
  { name: 'record', run: readOrMakeRecord },
  {
    name: 'move-announced',
    applies: ({ record, asleep, restores }) => record.phase === 'available' && !asleep && !restores,
    run: announceMove,
  },
  {
    name: 'relays-announced',
    applies: ({ record, spec, asleep, restores }) =>
      record.phase === 'available' && spec.inCluster === 'loopback' && !asleep && !restores,
    run: announceRelays,
  },
  { name: 'infra-services', applies: ({ record }) => record.infraServices === undefined, run: learnInfraServices },
  { name: 'infra-issuer', applies: ({ spec }) => spec.trustInfra.length > 0, run: learnInfraIssuer },
  storageStep,
  { name: 'storage-told', applies: ({ storage }) => storage.kind === 'ephemeral', run: tellEphemeral },
  { name: 'etcd-removed', applies: ({ replaces }) => replaces, run: makeRoomForStorage },
  addressesStep,
  {
    name: 'exposed',
    run: ({ cluster, spec, exposure, held }) => untilTaken(cluster, spec, exposure.filter(isExposure), held),
  },
  certificatesStep,
  webhookStep,
  {
    name: 'network-kept',
    applies: ({ record, spec, restores }) =>
      record.phase === 'available' && !restores && switchesNetwork(record.spec, spec),
    run: demandNoWorkers,
  },
  {
    name: 'network-told',
    applies: ({ spec }) => spec.childAssets && spec.network === 'manifest',
    run: async (state) => reportManifestFindings(state),
  },
  { name: 'certificates-told', run: tellCertificates },
  { name: 'webhooks-told', applies: ({ spec }) => webhooksBeforeRbac(spec).length > 0, run: tellWebhooks },
  { name: 'replacements-told', applies: ({ asleep }) => !asleep, run: tellReplacements },
  { name: 'change-tried', applies: ({ record, asleep }) => record.phase === 'available' && !asleep, run: tryChange },
  {
    name: 'workers-told',
    applies: ({ spec }) => spec.workerPods > 0,
    run: async ({ held }) => held.reporter.warn(workerPodsDanger),
  },
  { name: 'control-plane', run: makeControlPlane },
  { name: 'workers-begun', applies: hasFirstWorkers, run: beginWorkers },
  { name: 'available', run: untilAvailable },
  // Right after the API server's own first writes: when somebody has a credential of the plane, it may be changed by that.
  {
    name: 'policy-kept',
    applies: ({ first, cacheFolder }) => first && cacheFolder !== undefined,
    run: ({ cacheFolder, hosted, spec, held }) => keepPolicy(cacheFolder!, hosted, spec, held.reporter),
  },
  { name: 'data-lost', applies: ({ record }) => record.phase === 'available', run: beginAnewIfLost },
  { name: 'addons', run: applyTheAddons },
  { name: 'hosted-known', run: noteHostedCluster },
  { name: 'addons-outdated', run: removeOutdated },
  {
    name: 'drivers-outdated',
    applies: ({ record, spec }) => endsLeavingAlone(record.spec, spec),
    run: removeEarlierDrivers,
  },
  { name: 'kubeconfigs', applies: ({ files }) => files !== undefined, run: writeTheFiles },
  { name: 'components-ready', run: ({ watch, held }) => waitComponentsReady(watch, held.timeout, held.signal) },
  {
    name: 'reached-anew',
    applies: (state) => earlierWay(state) !== undefined,
    run: (state) => settleWay(state),
  },
  { name: 'identity', applies: takesOverIdentity, run: untilTakenOver },
  {
    name: 'members-closed',
    applies: ({ record }) => record.phase !== 'available',
    run: (state) => closeCluster(state),
  },
  {
    name: 'ready-pods-only',
    applies: ({ starting }) => starting,
    run: ({ cluster, record, spec }) => publishNotReady(cluster, record.planeId, spec, false),
  },
  {
    name: 'host-moved',
    applies: ({ keptBalancer, record }) => keptBalancer !== undefined && record.spec.expose === 'loadbalancer',
    run: untilHostMoved,
  },
  {
    name: 'service-settled',
    applies: ({ earlierNodePort, keptBalancer }) => earlierNodePort !== undefined || keptBalancer !== undefined,
    run: dropEarlierAddress,
  },
  { name: 'recorded', run: ({ held, spec, addresses }) => recordSpec(held, spec, addresses, 'available') },
  // Of a sleep that was killed before the record named it, or of a wake that was killed at its end.
  {
    name: 'snapshot-dropped',
    applies: ({ storage, record }) => storage.kind === 'ephemeral' && record.phase === 'available',
    run: ({ cluster, record }) => deleteSnapshot(cluster, record.planeId),
  },
  // A restore that was killed after etcd had its data is finished by now, and its plane is one like any other.
  {
    name: 'restore-ended',
    applies: ({ restores }) => restores === undefined,
    run: ({ held }) => markFinished(held, 'restore'),
  },
  // The plane is one by now, whatever becomes of what stands beside it.
  ...stepsBeside,
];

async function checkTheFiles({ existing, files }: DeployState): Promise<void> {
  checkFiles(files!, readAuthority(existing.ofKind('Secret')));
}

async function readOrMakeRecord(state: DeployState): Promise<void> {
  const { cluster, spec, existing, restores, held } = state;
  const { asleep, ...record } = await ensureRecord(held, spec);
  if (record.phase === 'restoring' && !restores) throw unfinishedRestore(cluster.namespace);
  if (asleep?.snapshot) throw snapshotAsleep(cluster.namespace);
  if (asleep) held.reporter.line(`The plane has slept since ${asleep.since}: deploy wakes it`);
  if ((asleep?.replicas.etcd ?? spec.etcdMembers) !== spec.etcdMembers) throw membersAsleep(cluster.namespace);
  state.record = record;
  state.asleep = asleep;
  state.starting = record.phase !== 'available' || asleep !== undefined;
  state.first = record.phase === 'deploying' && presentMembers(existing) === 0;
}

/** The gate beside the API server keeps tenants away from them. */
async function learnInfraServices(state: DeployState): Promise<void> {
  const infraServices = await infraServiceNetworks(state.cluster);
  if (infraServices === undefined) return;
  state.record.infraServices = infraServices;
  await updateRecord(state.held, (now) => ({ ...now, infraServices }));
}

/** Learnt anew by each deploy: an infra cluster may get another one. */
async function learnInfraIssuer(state: DeployState): Promise<void> {
  const infraIssuer = state.infraIssuer ?? (await infraIssuerUrl(state.cluster, state.spec));
  if (infraIssuer === state.record.infraIssuer) return;
  state.record.infraIssuer = infraIssuer;
  await updateRecord(state.held, (now) => ({ ...now, infraIssuer }));
}

async function tellEphemeral({ storage, held }: DeployState): Promise<void> {
  held.reporter.warn(`etcd is ephemeral: ${describeStorage(storage).loses}`);
}

async function makeRoomForStorage(state: DeployState): Promise<void> {
  const { cluster, record, existing, held } = state;
  await removeEtcd(cluster, record.planeId, existing, held);
  state.existing = await Existing.read(cluster);
}

async function tellCertificates({ issued, renewed, held: { reporter } }: DeployState): Promise<void> {
  for (const name of issued) reporter.debug(`certificate ${name} issued`);
  for (const { name, daysLeft } of renewed) reporter.line(`certificate ${name} renewed, ${describeDays(daysLeft)}`);
}

/** What a webhook in front of RBAC costs while it is away is nobody's guess. */
async function tellWebhooks({ spec, held: { reporter } }: DeployState): Promise<void> {
  for (const { name, webhook } of webhooksBeforeRbac(spec))
    reporter.warn(
      webhook?.failurePolicy === 'Deny'
        ? `while webhook "${name}" does not answer, every request of people is refused, whatever RBAC says; the plane's own components, workers, ServiceAccounts and members of system:masters go on`
        : `while webhook "${name}" does not answer, RBAC alone decides: what the webhook alone would deny is allowed meanwhile`,
    );
}

async function tellReplacements(state: DeployState): Promise<void> {
  const { cluster, record, existing, held } = state;
  state.rendered = renderPlane(state);
  state.replaced = await findReplacements(cluster, record.planeId, state.rendered, existing);
  for (const each of state.replaced) if (each.pods.length > 0) held.reporter.line(describeReplacement(each));
  const identity = identityIn(state.rendered.secrets);
  state.changesIdentity = changesIdentity(existing.find<Secret>(identity), state.rendered.secrets);
  if (state.changesIdentity)
    held.reporter.line('kube-apiserver: who gets in is to change, and no pod is replaced for it');
}

/** A wrong option, file or image must not cost the plane that runs: what would be replaced is tried beside it first. */
async function tryChange(state: DeployState): Promise<void> {
  const { cluster, rendered, replaced, changesIdentity, allowDataLoss, held, spec } = state;
  const { secrets, workloads } = rendered;
  const asked = replaced.filter(({ cause }) => cause === 'asked').map(({ component }) => component);
  // An API server that runs passes a wrong file over, and the next one dies of it.
  const changed = [...new Set([...asked, ...(changesIdentity ? (['kube-apiserver'] as const) : [])])];
  if (changed.length === 0) return;
  const noRoom = await tryComponents(cluster, { workloads, secrets, changed }, held);
  if (!noRoom) return;
  if (!allowDataLoss) throw noRoomForTrial(changed, noRoom.why, spec.replicas);
  held.reporter.warn(`the change is not tried first, there is no room for it: ${noRoom.why}`);
}

async function makeControlPlane(state: DeployState): Promise<void> {
  const { cluster, bundle, spec, held, answered, cacheFolder } = state;
  state.watch = new PodWatch(cluster, state.record.planeId);
  state.keeps = keptWay(state);
  state.startClients = await ensureControlPlane(state);
  const stop = AbortSignal.any([held.signal, answered.signal]);
  if (state.first && cacheFolder !== undefined)
    state.planted = writePolicyToEtcd(cacheFolder, cluster, bundle, spec, held.reporter, stop);
}

async function untilAvailable(state: DeployState): Promise<void> {
  const { cluster, addresses, bundle, held, watch, startClients, answered } = state;
  state.hosted ??= await connectAsAdministrator(cluster, addresses, bundle);
  const { hosted } = state;
  const { reporter } = held;
  const onAnswer = async () => {
    await startClients();
    if (hasFirstWorkers(state)) await makeRoomForClients(state);
  };
  const onWrong = tellerOf(state);
  await connectWhenAvailable(hosted, watch, held, { onAnswer, onWrong }).finally(() => answered.abort());
  // To who dials the new HOST it shows its certificate for the earlier one, and an ingress controller may lead there until it is gone.
  if (state.moved)
    await untilEarlierApiServersEnded(cluster, state.record, 'the API server with the earlier certificate', held);
  const { gitVersion } = await hosted.version();
  reporter.line(`Client Version: k8sk8s v${toolVersion()}`);
  reporter.line(`Server Version: ${gitVersion}`);
  state.serverVersion = gitVersion;
  await state.planted;
}

/** People go on by the load balancer until HOST leads elsewhere, and the plane has to answer there before it goes. */
async function untilHostMoved(state: DeployState): Promise<void> {
  await untilHostLeft(state.cluster, state.spec, state.held);
  await answersAnew(state);
}

/** An API server that is told to end takes its earlier address or port off the endpoints first. */
async function dropEarlierAddress({ cluster, record, spec, held }: DeployState): Promise<void> {
  await untilEarlierApiServersEnded(cluster, record, 'the API server with the earlier address', held);
  await settleService(cluster, record.planeId, spec);
}

/** New pods begin with the files as they are; of those that run, a run that was killed may have waited for in vain. */
function takesOverIdentity({ record, asleep, changesIdentity, spec }: DeployState): boolean {
  return record.phase === 'available' && !asleep && (changesIdentity || hasOutsideIdentity(spec));
}

function hasOutsideIdentity(spec: DeployState['spec']): boolean {
  return authenticatorsOf(spec).length > 0 || spec.trustInfra.length > 0 || spec.authorizationWebhook !== undefined;
}

async function untilTakenOver({ cluster, record, rendered, addresses, bundle, held }: DeployState): Promise<void> {
  const replicas = replicasOf(cluster, record.planeId, bundle, addresses.advertised.port);
  await waitTakenOver(replicas, identityIn(rendered.secrets), held);
}

/** A plane that was available has the data that it had, unless its etcd began anew. */
async function beginAnewIfLost(state: DeployState): Promise<void> {
  const { cluster, hosted, record, storage, held } = state;
  if (await isSameCluster(hosted, record)) return;
  const how =
    storage.kind === 'ephemeral'
      ? ', as an ephemeral one does with its pod'
      : ': its volume is not the one that it had';
  held.reporter.warn(`etcd lost its data${how}. The cluster begins anew; restart the kubelets of its workers.`);
  // API servers that remember the old data hand out addresses and versions of it, so none of them stays beside a new one.
  const losses = (record.losses ?? 0) + 1;
  record.losses = losses;
  await updateRecord(held, (now) => ({ ...now, losses }));
  for (const pod of await podsOf(cluster, record.planeId, 'kube-apiserver')) await cluster.endPod(pod, 1);
  state.existing = await Existing.read(cluster);
  state.startClients = await ensureControlPlane(state);
  await untilAvailable(state);
}

/** The first workers wait for their token, and need rights alone to join: they do so while the rest is applied. */
async function applyRightsAndRest(state: DeployState, addons: KubeObject[]): Promise<void> {
  const { hosted, applied, held } = state;
  const isFirst = ({ kind }: KubeObject) => hasFirstWorkers(state) && /Role(Binding)?$/.test(kind);
  await applyAddons(hosted, addons.filter(isFirst), applied, held);
  const rest = addons.filter((object) => !isFirst(object));
  const joining = hasFirstWorkers(state) ? letFirstWorkersJoin(state) : undefined;
  await Promise.all([joining, applyAddons(hosted, rest, applied, held)]);
}

async function noteHostedCluster({ hosted, record, held }: DeployState): Promise<void> {
  const hostedUid = await hostedClusterUid(hosted);
  if (hostedUid === record.hostedUid) return;
  record.hostedUid = hostedUid;
  await updateRecord(held, (now) => ({ ...now, hostedUid }));
}

/** The administrator's rights are among the first of them: who waits for the plane is told of it before the last is there. */
async function applyTheAddons(state: DeployState): Promise<void> {
  const { cluster, hosted, spec, addresses, bundle, applied, watch, held } = state;
  held.reporter.line('Deploying child cluster assets');
  const failed = new AbortController();
  const signal = AbortSignal.any([held.signal, failed.signal]);
  const usable = waitUsable(cluster, state, watch, { ...held, signal });
  try {
    await applyAddons(hosted, await hostedPullSecret(cluster, spec), applied, held);
    await applyRightsAndRest(state, buildAddons(spec, addresses, bundle.authorities));
  } catch (error) {
    failed.abort(error);
    await usable.catch(() => undefined);
    throw error;
  }
  await usable;
}

async function removeOutdated({ hosted, record, spec, held }: DeployState): Promise<void> {
  for (const object of outdatedAddons(record.spec, spec)) {
    held.signal.throwIfAborted();
    if (await hosted.delete(object, object.metadata.name, object.metadata.namespace))
      held.reporter.line(`${nameOf(object)} deleted`);
  }
}

async function writeTheFiles(state: DeployState): Promise<void> {
  const { files, spec, addresses, bundle, hosted, held } = state;
  state.written = await writeFiles({ ...files!, spec, addresses, bundle, hosted, reporter: held.reporter });
}
