import { randomBytes } from 'node:crypto';
import { createBackup } from '../../backup/create.ts';
import { wholeFile } from '../../backup/file.ts';
import type { Seal } from '../../backup/seal.ts';
import { messageOf, UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { PodWatch } from '../../live/pod-watch.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { runSteps, type Step } from '../../rollout/steps.ts';
import type { Work } from '../../ui/work.ts';
import { refuseRefusedAddons } from './addons.ts';
import { tryNewImages } from './image-trials.ts';
import { leaveMark, removeMark } from './mark.ts';
import { planOf, targetOf, type UpgradePlan } from './plan.ts';
import type { UpgradeState } from './state.ts';
import { backSteps, forwardSteps } from './steps.ts';

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
 * Takes a plane to another Kubernetes version, component by component, and watches it. When a step fails, all components
 * but etcd go back to where they were, and it is proven that the plane is as before: version, health, recorded state, and
 * an object written before the upgrade.
 *
 * `deploy` takes back what a killed run left, since the record keeps the old version until the end. The plan is made, and
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
  await runPreflight(cluster, target, reporter, { asRecorded: true });
  const hosted = await plane.connect();
  const state: UpgradeState = {
    plane,
    target,
    hosted,
    observe,
    token: randomBytes(8).toString('hex'),
    readyWorkers: plan.workers.filter(({ ready }) => ready).length,
    addonsTouched: false,
    workerPodsTouched: false,
    watch: new PodWatch(cluster, plane.record.planeId),
  };
  try {
    await refuseRefusedAddons(state);
    await tryNewImages(plane, target, plan.replaced);
    if (backup) await backUp(plane, backup);
    await leaveMark(state);
    try {
      await runSteps(forwardSteps.map(told), state, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw await goBack(state, error);
    }
    const { gitVersion } = await hosted.version();
    await removeMark(state);
    return { from: plan.from, to: plan.to, serverVersion: gitVersion };
  } finally {
    state.watch.close();
    await hosted.close();
  }
}

/** etcd's data is never rolled back, so this is what is left when an upgrade spoils it. */
async function backUp({ held }: HeldPlane, { file, seal }: { file: string; seal: Seal }): Promise<void> {
  const { cluster, reporter, signal } = held;
  await reporter.during(
    'Backing up',
    (phase) => wholeFile(file, (write) => createBackup(cluster, { seal, write, phase, signal })),
    `The plane as it was is in "${file}"`,
  );
}

/**
 * All components but etcd go to what they were, and it is proven that they are.
 *
 * @returns what to tell the person about the failed upgrade
 * @throws UserError `rollback-failed`
 */
async function goBack(state: UpgradeState, cause: unknown): Promise<UserError> {
  const { plane, target, watch } = state;
  const { cluster, reporter, signal } = plane.held;
  const [from, to] = [plane.spec.kubernetesVersion, target.kubernetesVersion];
  reporter.warn(`${sentenceOf(cause)}\nGoing back to ${from}`);
  // What the old watch found wrong is what the way back mends.
  watch.close();
  state.watch = new PodWatch(cluster, plane.record.planeId);
  try {
    await runSteps(backSteps.map(told), state, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new UserError({
      what: `the upgrade to ${to} failed, and so did the way back to ${from}`,
      why: `first: ${sentenceOf(cause)}\nthen: ${sentenceOf(error)}`,
      fix: words`nothing of etcd's data was touched: look at ${command('status', cluster.namespace)}, repair what it names, and run ${command('deploy', cluster.namespace)}, which goes on with ${from}`,
      anchor: 'rollback-failed',
      cause: error,
    });
  }
  return new UserError({
    what: `Kubernetes ${to} did not work on this plane, which runs ${from} again`,
    why: sentenceOf(cause),
    fix: `correct what is named there and run the upgrade again; version, health, recorded state and data of the plane are as before`,
    anchor: 'upgrade-rolled-back',
    cause,
  });
}

/** The step, which says that it is done and how long it took. */
function told({ title, run, ...step }: (typeof forwardSteps)[number]): Step<UpgradeState> {
  return {
    ...step,
    async run(state) {
      const { reporter } = state.plane.held;
      const started = performance.now();
      reporter.debug(`${title(state)} …`);
      await run(state);
      reporter.line(`UPGRADE: ${title(state)} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    },
  };
}

function sentenceOf(error: unknown): string {
  return error instanceof UserError ? error.message : messageOf(error);
}
