import { UserError } from '../../base/errors.ts';
import { toolVersion } from '../../base/version.ts';
import { words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { diffPlane } from '../../drift/plane-diff.ts';
import { waitUsable } from '../../hosted/usable.ts';
import { ensureWorkerPods } from '../../hosted/worker-pods/ensure.ts';
import type { KubeObject, Workload } from '../../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { updateRecord } from '../../live/record.ts';
import { workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import { apiServerClients } from '../../plane/components/lookup.ts';
import { type RenderedPlane, renderPlane } from '../../plane/render.ts';
import { isStartFiles } from '../../plane/start-files.ts';
import { waitAvailable } from '../../rollout/available.ts';
import { refuseDataLoss } from '../../rollout/control-plane.ts';
import { tidyStartFiles, waitReplaced } from '../../rollout/roll-out.ts';
import type { Step } from '../../rollout/steps.ts';
import { replaceAddons } from './addons.ts';
import { proveData, removeMark } from './mark.ts';
import { observe } from './observe.ts';
import type { UpgradeState } from './state.ts';

interface TitledStep extends Step<UpgradeState> {
  /** What a person is told when the step is done. */
  title(state: UpgradeState): string;
}

const newVersion = ({ target }: UpgradeState): string => target.kubernetesVersion;
const oldVersion = ({ plane }: UpgradeState): string => plane.spec.kubernetesVersion;

/** To the new version, in the order that version skew allows (https://kubernetes.io/releases/version-skew-policy/). */
export const forwardSteps: TitledStep[] = [
  { name: 'etcd', title: () => 'etcd', run: (state) => replaceEtcd(state) },
  {
    name: 'api-servers',
    title: (state) => `API servers to ${newVersion(state)}`,
    async run(state) {
      await rollOut(state, [workloadsOf(state, state.target)['kube-apiserver']]);
      await untilAnswersAs(state, newVersion(state));
    },
  },
  {
    name: 'api-server-clients',
    title: (state) => `controller-manager and scheduler to ${newVersion(state)}`,
    async run(state) {
      const workloads = workloadsOf(state, state.target);
      await rollOut(
        state,
        apiServerClients.map((name) => workloads[name]),
      );
    },
  },
  {
    name: 'addons',
    title: () => 'child assets',
    async run(state) {
      state.addonsTouched = true;
      await replaceAddons(state, state.target, state.readyWorkers);
    },
  },
  {
    name: 'usable',
    title: () => 'a pod can be made',
    run: ({ plane, watch }) => waitUsable(plane.held.cluster, plane, watch, plane.held),
  },
  {
    name: 'worker-pods',
    title: () => 'worker pods',
    applies: ({ target }) => target.workerPods > 0,
    async run(state) {
      state.workerPodsTouched = true;
      await replaceWorkerPods(state, state.target);
    },
  },
  {
    name: 'observed',
    title: (state) => `all well for ${Math.round(state.observe / 1000)} s`,
    run: (state) => observe(state),
  },
  { name: 'recorded', title: () => 'record', run: (state) => record(state) },
];

/** To the old version again, all but etcd, and the proof that the plane is as before. */
export const backSteps: TitledStep[] = [
  {
    // A kubelet must not be newer than its API server.
    name: 'worker-pods-back',
    title: () => 'worker pods back',
    applies: ({ workerPodsTouched }) => workerPodsTouched,
    run: (state) => replaceWorkerPods(state, state.plane.spec),
  },
  {
    name: 'components-back',
    title: (state) => `API servers, controller-manager and scheduler back to ${oldVersion(state)}`,
    async run(state) {
      await rollOut(state, Object.values(workloadsOf(state, state.plane.spec)).filter(isNotEtcd));
      await untilAnswersAs(state, oldVersion(state));
    },
  },
  {
    name: 'addons-back',
    title: () => 'child assets back',
    applies: ({ addonsTouched }) => addonsTouched,
    run: (state) => replaceAddons(state, state.plane.spec, 0),
  },
  { name: 'proven', title: () => 'proof that the plane is as before', run: (state) => proveAsBefore(state) },
];

export const isNotEtcd = ({ metadata }: KubeObject): boolean => metadata.name !== 'etcd';

function workloadsOf({ plane }: UpgradeState, spec: ClusterSpec): RenderedPlane['workloads'] {
  return renderPlane({ ...plane, spec }).workloads;
}

async function replaceEtcd(state: UpgradeState): Promise<void> {
  const { etcd } = workloadsOf(state, state.target);
  const { storage, held } = state.plane;
  if (storage.kind === 'ephemeral')
    await refuseDataLoss(held.cluster, state.plane.record, etcd, await Existing.read(held.cluster));
  await rollOut(state, [etcd]);
}

async function rollOut({ plane, watch }: UpgradeState, workloads: KubeObject[]): Promise<void> {
  const { cluster, reporter } = plane.held;
  const { planeId } = plane.record;
  watch.expect(workloads);
  const existing = await Existing.read(cluster);
  // A plane of an earlier k8sk8s may lack one that the new pods mount.
  const needed = renderPlane(plane).secrets.filter((secret) => isStartFiles(secret) || !existing.find(secret));
  await applyAll(cluster, planeId, needed, existing, nothingApplied(), reporter);
  const now = await applyAll(cluster, planeId, workloads, existing, nothingApplied(), reporter);
  watch.applied(now, (object) => existing.find(object));
  await waitReplaced(cluster, planeId, now as Workload[], workloads, watch, plane.held);
}

/** The public address answers, in the version that it should, and what was written before is there. */
async function untilAnswersAs(state: UpgradeState, version: string): Promise<void> {
  const { hosted, watch, plane } = state;
  const { reporter, timeout, signal } = plane.held;
  const phase = { update: (text: string) => reporter.debug(text), done: () => undefined, fail: () => undefined };
  await waitAvailable(hosted, watch, { timeout, phase, signal });
  const { gitVersion } = await hosted.version();
  if (gitVersion !== `v${version}`)
    throw new UserError({
      what: `the API server says that it is ${gitVersion}, not v${version}`,
      why: 'the image under that name holds another version, or another API server answers at the address',
      fix: 'check the registry or mirror',
      anchor: 'not-available',
    });
  await proveData(state, version);
}

async function replaceWorkerPods({ plane, hosted }: UpgradeState, spec: ClusterSpec): Promise<void> {
  const { held } = plane;
  const workers = { ...plane, spec, cluster: held.cluster, hosted };
  if (await ensureWorkerPods(workers, nothingApplied(), held)) return;
  throw new UserError({
    what: 'a worker pod that was replaced did not become Ready',
    fix: words`look at its words: kubectl -n ${held.cluster.namespace} logs -l app.kubernetes.io/name=${workerPodsName}`,
    anchor: 'not-available',
  });
}

async function proveAsBefore(state: UpgradeState): Promise<void> {
  await proveData(state, `after the way back to ${oldVersion(state)}`);
  const { differences, unknown } = await diffPlane(state.plane.held.cluster);
  if (differences.length > 0 || unknown)
    throw new Error(unknown ?? `${differences.map(({ name }) => name).join(', ')} differ from the record`);
  await removeMark(state);
}

/** From here on the plane's version is the new one: in its labels, and in what deploy starts from. */
async function record({ plane, target }: UpgradeState): Promise<void> {
  const { cluster, reporter } = plane.held;
  const { services, exposure, policies, disruptionBudgets, further, secrets } = renderPlane({ ...plane, spec: target });
  const objects = [...services, ...exposure, ...policies, ...disruptionBudgets, ...further, ...secrets];
  const existing = await Existing.read(cluster);
  await applyAll(cluster, plane.record.planeId, objects, existing, nothingApplied(), reporter);
  await tidyStartFiles(cluster, plane.record.planeId, secrets, existing, reporter);
  await updateRecord(plane.held, (now) => ({ ...now, spec: target, toolVersion: toolVersion() }));
}
