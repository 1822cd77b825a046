import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBackup } from '../../backup/create.ts';
import { wholeFile } from '../../backup/file.ts';
import type { Seal } from '../../backup/seal.ts';
import { messageOf, UserError } from '../../base/errors.ts';
import { toolVersion } from '../../base/version.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { diffPlane } from '../../drift/plane-diff.ts';
import { buildAddons } from '../../hosted/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { ConfigMap, KubeObject, Node, Workload } from '../../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { tryImages } from '../../live/image-trial.ts';
import { PodWatch } from '../../live/pod-watch.ts';
import { updateRecord } from '../../live/record.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import { apiServerClients } from '../../plane/components/lookup.ts';
import { planeSelector } from '../../plane/names.ts';
import { type RenderedPlane, renderPlane } from '../../plane/render.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { waitAvailable } from '../../rollout/available.ts';
import { refuseDataLoss } from '../../rollout/control-plane.ts';
import { waitReplaced } from '../../rollout/roll-out.ts';
import type { Work } from '../../ui/work.ts';
import { planOf, targetOf, type UpgradePlan } from './plan.ts';

/** What an upgrade is told; its `timeout` is for each step. */
export interface UpgradeRequest extends Work {
  /** A full version. */
  to: string;
  allowUntested: boolean;
  /** Milliseconds for which everything has to stay well before the upgrade counts as done. */
  observe: number;
  /**
   * Asked once the plane cannot change any more, before anything is touched.
   *
   * @returns where the plane is backed up to first, and how that is closed; undefined to make no backup
   * @throws UserError where something in the plan stands against it
   */
  decide(plan: UpgradePlan): { file: string; seal: Seal } | undefined;
}

export interface UpgradeResult {
  from: string;
  to: string;
  serverVersion: string;
}

/**
 * Takes a plane to another Kubernetes version, component by component, and watches it. When a step fails, the components
 * go back to where they were, all but etcd, and it is proven that the plane is as before: version, health, recorded
 * state, and an object written before the upgrade.
 *
 * What a killed run left, `deploy` takes back, since the record keeps the old version until the end. The plan is made, and
 * everything is read, while the lock is held: nothing that another command has changed meanwhile is written back.
 *
 * @throws UserError what `decide` throws, `upgrade-rolled-back` after a successful way back, `rollback-failed` when that failed too
 */
export async function upgrade(cluster: InfraCluster, request: UpgradeRequest): Promise<UpgradeResult> {
  return withPlane(cluster, 'upgrade', request, (plane) => upgradeHeld(plane, request));
}

async function upgradeHeld(
  plane: HeldPlane,
  { to, allowUntested, observe, decide }: UpgradeRequest,
): Promise<UpgradeResult> {
  const { cluster, reporter, signal } = plane.held;
  const target = targetOf(plane, to, allowUntested);
  const plan = await planOf(cluster, plane, target);
  const backup = decide(plan);
  await runPreflight(cluster, target, reporter);
  const hosted = await plane.connect();
  try {
    const work = new Upgrade(hosted, plane, observe);
    await work.tryImages(target);
    if (backup) await work.backUp(backup);
    await work.leaveMark(plan.to);
    try {
      await work.forward(target);
    } catch (error) {
      signal.throwIfAborted();
      throw await work.back(plane.spec, target, error);
    }
    const { gitVersion } = await hosted.version();
    await work.removeMark();
    return { from: plan.from, to: plan.to, serverVersion: gitVersion };
  } finally {
    await hosted.close();
  }
}

/** The object of the hosted cluster that is written before an upgrade and has to be there after it, or after the way back. */
const mark = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s-upgrade', namespace: 'kube-system' } };

class Upgrade {
  readonly #cluster: InfraCluster;
  readonly #hosted: HostedCluster;
  readonly #plane: HeldPlane;
  readonly #observeFor: number;
  readonly #token = randomBytes(8).toString('hex');
  #assetsTouched = false;

  /** @param observe milliseconds */
  constructor(hosted: HostedCluster, plane: HeldPlane, observe: number) {
    this.#cluster = plane.held.cluster;
    this.#hosted = hosted;
    this.#plane = plane;
    this.#observeFor = observe;
  }

  /** Nothing is touched before every new image was seen to run. */
  async tryImages(target: ClusterSpec): Promise<void> {
    const { reporter, timeout, signal } = this.#plane.held;
    const changed = await this.#changed(Object.values(this.#workloads(target)));
    const phase = reporter.begin(`Trying the images of ${target.kubernetesVersion}`);
    let versions: Awaited<ReturnType<typeof tryImages>>;
    try {
      versions = await tryImages(this.#cluster, changed.filter(isNotEtcd), { timeout, signal });
    } catch (error) {
      phase.fail();
      throw error;
    }
    phase.done();
    for (const [component, version] of versions) {
      if (version === undefined)
        reporter.warn(`the quota has no room to try the image of ${component} beforehand; it is found out on the way`);
      else reporter.debug(`${component}: ${version}`);
    }
  }

  /** etcd's data is never rolled back, so this is what is left when an upgrade spoils it. */
  async backUp({ file, seal }: { file: string; seal: Seal }): Promise<void> {
    const { reporter, signal } = this.#plane.held;
    const phase = reporter.begin('Backing up');
    try {
      await wholeFile(file, (write) => createBackup(this.#cluster, { seal, write, phase, signal }));
    } catch (error) {
      phase.fail();
      throw error;
    }
    phase.done(`The plane as it was is in "${file}"`);
  }

  async leaveMark(to: string): Promise<void> {
    await this.#hosted.apply<ConfigMap>({ ...mark, data: { token: this.#token, step: 'before', to } });
  }

  async removeMark(): Promise<void> {
    await this.#hosted.delete(mark, mark.metadata.name, mark.metadata.namespace);
  }

  /** etcd, API servers, controller-manager and scheduler, child assets; then everything has to stay well for a while. */
  async forward(target: ClusterSpec): Promise<void> {
    const workloads = this.#workloads(target);
    const version = target.kubernetesVersion;
    const ready = await this.#readyWorkers();
    const diagnosis = new PodWatch(this.#cluster, this.#plane.record.planeId);
    try {
      if (this.#plane.storage.kind === 'ephemeral') refuseDataLoss(workloads.etcd, await Existing.read(this.#cluster));
      await this.#step(`etcd`, async () => this.#rollOut([workloads.etcd], diagnosis));
      await this.#step(`API servers to ${version}`, async () => {
        await this.#rollOut([workloads['kube-apiserver']], diagnosis);
        await this.#answersAs(version, diagnosis);
      });
      await this.#step(`controller-manager and scheduler to ${version}`, () =>
        this.#rollOut(
          apiServerClients.map((name) => workloads[name]),
          diagnosis,
        ),
      );
      await this.#step('child assets', () => this.#childAssets(target, ready));
      await this.#step(`all well for ${Math.round(this.#observeFor / 1000)} s`, () => this.#observe(ready, diagnosis));
      await this.#step('record', () => this.#record(target));
    } finally {
      diagnosis.close();
    }
  }

  /**
   * Everything but etcd to what it was, and the proof of it.
   *
   * @returns what to tell the person about the failed upgrade
   * @throws UserError `rollback-failed`
   */
  async back(before: ClusterSpec, target: ClusterSpec, cause: unknown): Promise<UserError> {
    const { reporter } = this.#plane.held;
    const [from, to] = [before.kubernetesVersion, target.kubernetesVersion];
    reporter.warn(`${sentenceOf(cause)}\nGoing back to ${from}`);
    const diagnosis = new PodWatch(this.#cluster, this.#plane.record.planeId);
    try {
      await this.#step(`API servers, controller-manager and scheduler back to ${from}`, async () => {
        await this.#rollOut(Object.values(this.#workloads(before)).filter(isNotEtcd), diagnosis);
        await this.#answersAs(from, diagnosis);
      });
      if (this.#assetsTouched) await this.#step('child assets back', () => this.#childAssets(before, 0));
      await this.#step('proof that the plane is as before', async () => {
        await this.#prove(`after the way back to ${from}`);
        const { differences, unknown } = await diffPlane(this.#cluster);
        if (differences.length > 0 || unknown)
          throw new Error(unknown ?? `${differences.map(({ name }) => name).join(', ')} differ from the record`);
        await this.removeMark();
      });
    } catch (error) {
      this.#plane.held.signal.throwIfAborted();
      throw new UserError({
        what: `the upgrade to ${to} failed, and so did the way back to ${from}`,
        why: `first: ${sentenceOf(cause)}\nthen: ${sentenceOf(error)}`,
        fix: `nothing of etcd's data was touched: look at k8sk8s status -n ${this.#cluster.namespace}, mend what it names, and run k8sk8s deploy -n ${this.#cluster.namespace}, which goes on with ${from}`,
        anchor: 'rollback-failed',
        cause: error,
      });
    } finally {
      diagnosis.close();
    }
    return new UserError({
      what: `Kubernetes ${to} did not work on this plane, which runs ${from} again`,
      why: sentenceOf(cause),
      fix: `mend what is named there and run the upgrade again; the plane was seen to be as before: version, health, recorded state and data`,
      anchor: 'upgrade-rolled-back',
      cause,
    });
  }

  #workloads(spec: ClusterSpec): RenderedPlane['workloads'] {
    return renderPlane({ ...this.#plane, spec }).workloads;
  }

  /** Those that the server would replace pods for. */
  async #changed(workloads: KubeObject[]): Promise<KubeObject[]> {
    const existing = await Existing.read(this.#cluster);
    const after = await Promise.all(workloads.map((workload) => this.#cluster.apply(workload, { dryRun: true })));
    return workloads.filter(
      (workload, index) => existing.find(workload)?.metadata.generation !== after[index]!.metadata.generation,
    );
  }

  async #rollOut(workloads: KubeObject[], diagnosis: PodWatch): Promise<void> {
    const { reporter, timeout, signal } = this.#plane.held;
    diagnosis.expect(workloads);
    const { planeId } = this.#plane.record;
    const existing = await Existing.read(this.#cluster);
    const now = await applyAll(this.#cluster, planeId, workloads, existing, nothingApplied(), reporter);
    diagnosis.applied(now, (object) => existing.find(object));
    await waitReplaced(this.#cluster, planeId, now as Workload[], workloads, diagnosis, { timeout, signal });
  }

  /** The public address answers, in the version that it should, and what was written before is there. */
  async #answersAs(version: string, diagnosis: PodWatch): Promise<void> {
    const { reporter, timeout, signal } = this.#plane.held;
    const phase = { update: (text: string) => reporter.debug(text), done: () => undefined, fail: () => undefined };
    await waitAvailable(this.#hosted, diagnosis, { timeout, phase, signal });
    const { gitVersion } = await this.#hosted.version();
    if (gitVersion !== `v${version}`)
      throw new UserError({
        what: `the API server says that it is ${gitVersion}, not v${version}`,
        why: 'the image under that name holds another version, or another API server answers at the address',
        fix: 'check the registry or mirror',
        anchor: 'not-available',
      });
    await this.#prove(version);
  }

  /** What was written before the upgrade is still there, and a new write is kept. */
  async #prove(step: string): Promise<void> {
    const { name, namespace } = mark.metadata;
    const found = await this.#hosted.get<ConfigMap>(mark, name, namespace);
    if (found?.data?.token !== this.#token)
      throw new Error(`the object ${namespace}/${name}, written before, is not there`);
    await this.#hosted.apply<ConfigMap>({ ...mark, data: { ...found.data, step } });
    const again = await this.#hosted.get<ConfigMap>(mark, name, namespace);
    if (again?.data?.step !== step) throw new Error(`a write to ${namespace}/${name} was not kept`);
  }

  async #childAssets(spec: ClusterSpec, readyWorkers: number): Promise<void> {
    const { addresses, bundle } = this.#plane;
    const { timeout, signal } = this.#plane.held;
    this.#assetsTouched = true;
    const assets = buildAddons(spec, addresses, bundle.authorities);
    await applyAddons(this.#hosted, assets, nothingApplied(), this.#plane.held);
    const daemons = assets.filter(({ kind }) => kind === 'DaemonSet');
    const deadline = Date.now() + timeout;
    for (const daemon of daemons) {
      const { name, namespace } = daemon.metadata;
      for (;;) {
        const { metadata, status = {} } = (await this.#hosted.get<Workload>(daemon, name, namespace))!;
        const { observedGeneration, updatedNumberScheduled = 0, desiredNumberScheduled = 0, numberReady = 0 } = status;
        // Workers that were away before must not hold the others up.
        const enough = Math.min(readyWorkers, desiredNumberScheduled);
        if (observedGeneration === metadata.generation && updatedNumberScheduled >= enough && numberReady >= enough)
          break;
        if (Date.now() > deadline)
          throw new UserError({
            what: `the pods of ${name} on the workers did not become ready within ${Math.round(timeout / 1000)} s`,
            why: `${updatedNumberScheduled} of ${desiredNumberScheduled} are of the new version, ${numberReady} ready`,
            fix: `look at: kubectl -n ${namespace} describe pods -l k8s-app=${name}, in the hosted cluster`,
            anchor: 'not-available',
          });
        await sleep(500, undefined, { signal });
      }
    }
  }

  /** Ready at the end as at the beginning, and no component ended in between. */
  async #observe(readyBefore: number, diagnosis: PodWatch): Promise<void> {
    const observe = this.#observeFor;
    const { signal } = this.#plane.held;
    diagnosis.expect(await this.#live());
    const restarts = await this.#restarts();
    const end = Date.now() + observe;
    while (Date.now() < end) {
      if (diagnosis.failure) throw diagnosis.failure;
      const { ready, failing } = await this.#hosted.ready(3000);
      if (!ready) throw new Error(`the API server is not ready any more: ${failing.join(', ')}`);
      await sleep(Math.min(500, observe), undefined, { signal });
    }
    const after = await this.#restarts();
    const ended = [...after].find(([pod, count]) => count > (restarts.get(pod) ?? count));
    if (ended) throw new Error(`the container of ${ended[0]} ended after it had been ready`);
    const ready = await this.#readyWorkers();
    if (ready < readyBefore) throw new Error(`only ${ready} of ${readyBefore} workers are still Ready`);
  }

  async #live(): Promise<KubeObject[]> {
    const existing = await Existing.read(this.#cluster);
    return [...existing.ofKind('Deployment'), ...existing.ofKind('StatefulSet')];
  }

  async #restarts(): Promise<Map<string, number>> {
    const { items } = await this.#cluster.pods(planeSelector(this.#plane.record.planeId));
    return new Map(
      items.map(({ metadata, status }) => [metadata.name, status?.containerStatuses?.[0]?.restartCount ?? 0]),
    );
  }

  async #readyWorkers(): Promise<number> {
    const { items } = await this.#hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
    return items.filter(({ status }) =>
      status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
    ).length;
  }

  /** From here on the plane's version is the new one: in its labels, and in what deploy starts from. */
  async #record(spec: ClusterSpec): Promise<void> {
    const { record } = this.#plane;
    const { services, ingress, policies, disruptionBudgets, secrets } = renderPlane({ ...this.#plane, spec });
    const objects = [...services, ...ingress, ...policies, ...disruptionBudgets, ...secrets];
    const existing = await Existing.read(this.#cluster);
    await applyAll(this.#cluster, record.planeId, objects, existing, nothingApplied(), this.#plane.held.reporter);
    await updateRecord(this.#plane.held, (now) => ({ ...now, spec, toolVersion: toolVersion() }));
  }

  async #step(title: string, work: () => Promise<void>): Promise<void> {
    this.#plane.held.signal.throwIfAborted();
    const started = performance.now();
    this.#plane.held.reporter.debug(`${title} …`);
    await work();
    this.#plane.held.reporter.line(`UPGRADE: ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  }
}

const isNotEtcd = ({ metadata }: KubeObject): boolean => metadata.name !== 'etcd';

function sentenceOf(error: unknown): string {
  return error instanceof UserError ? error.message : messageOf(error);
}
