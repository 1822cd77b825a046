import { type Finding, firstFew } from '../../base/errors.ts';
import { command, option, shellWord, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { imagesOf, workerImageOf } from '../../config/images.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { minorNumber, minorOf } from '../../config/versions.ts';
import { diffPlane, type PlaneDiff } from '../../drift/plane-diff.ts';
import { type RemovedApiUse, removedApisInUse } from '../../hosted/removed-apis.ts';
import { workerStatus } from '../../hosted/workers.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Node } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { openPlane, type Plane } from '../../live/open.ts';
import { allImages } from '../../plane/all-images.ts';
import { apiServerClients, byComponent } from '../../plane/components/lookup.ts';
import { driverOf } from '../../plane/networks/table.ts';
import { renderPlane } from '../../plane/render.ts';
import { versionStep } from '../../preflight/plane-checks.ts';
import { findReplacements, type Replacement } from '../../rollout/replacements.ts';

/** One step of an upgrade: what is replaced, from which image to which. */
interface UpgradeStep {
  step: string;
  images: { from: string; to: string }[];
  /** What users of the hosted cluster notice. */
  effect: string;
}

export interface UpgradePlan {
  namespace: string;
  plane: string;
  from: string;
  to: string;
  steps: UpgradeStep[];
  /** Pods of the plane that it replaces. */
  replaced: Replacement[];
  /** Kubelets seen in the hosted cluster. */
  workers: { name: string; version: string; ready: boolean }[];
  /** Kubelets of a version that does not go with the new one; the caller may accept them. */
  skew: Finding[];
  removedApis: RemovedApiUse[];
  /** Objects that an earlier run, which did not come to its end, has left as the new version wants them. */
  done: number;
  /** What stands against it; empty when the upgrade may begin. */
  problems: Finding[];
  /** What happens when a step fails. */
  rollback: string;
}

/**
 * Looks at everything that an upgrade depends on, and changes nothing.
 *
 * @param to a full version
 * @throws UserError when there is no plane; ConnectionError when it does not answer
 */
export async function planUpgrade(cluster: InfraCluster, to: string, allowUntested: boolean): Promise<UpgradePlan> {
  const plane = await openPlane(cluster);
  return planOf(cluster, plane, targetOf(plane, to, allowUntested));
}

/** The plane's spec with another version. Pure. @throws UserError `bad-values` for a version that is not known */
export function targetOf({ record }: Plane, to: string, allowUntested: boolean): ClusterSpec {
  return parseSpec(
    { ...record.spec, kubernetesVersion: to, ...(allowUntested && { allowUntestedVersion: true }) },
    'on the command line',
  );
}

/** planUpgrade of a plane that was read already. @param target as targetOf gives it */
export async function planOf(cluster: InfraCluster, plane: Plane, target: ClusterSpec): Promise<UpgradePlan> {
  const { spec, record } = plane;
  const to = target.kubernetesVersion;
  const from = spec.kubernetesVersion;
  const hosted = await plane.connect();
  try {
    const [workers, removedApis, existing] = await Promise.all([
      workersOf(hosted),
      removedApisInUse(hosted, minorOf(from), minorOf(to)),
      Existing.read(cluster),
    ]);
    const rendered = renderPlane({ ...plane, spec: target });
    const { differences } = await diffPlane(cluster);
    const strange = differences.length > 0 ? foreignDifferences(differences, await diffPlane(cluster, target)) : [];
    return {
      namespace: cluster.namespace,
      plane: record.planeId,
      from,
      to,
      steps: stepsOf(imagesFor(spec), imagesFor(target), target),
      replaced: await findReplacements(cluster, record.planeId, rendered, existing),
      workers,
      skew: skewProblems(workers, to),
      removedApis,
      done: differences.length - strange.length,
      problems: [
        ...stepProblems(plane, cluster.namespace, from, to),
        ...differenceProblems(strange, cluster.namespace),
        ...pinnedProblems(spec, cluster.namespace),
      ],
      rollback: `when a step fails: API servers, controller-manager, scheduler, child assets and worker pods go back to ${from} by themselves; etcd's data stays as it is`,
    };
  } finally {
    await hosted.close();
  }
}

async function workersOf(hosted: HostedCluster): Promise<UpgradePlan['workers']> {
  const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
  return items.map(workerStatus).map(({ name, version, ready }) => ({ name, version, ready }));
}

/**
 * Those that are neither as recorded nor as the new version wants them: not what a killed run of the same upgrade left.
 * Pure.
 */
export function foreignDifferences(
  fromRecord: PlaneDiff['differences'],
  { differences: fromTarget }: Pick<PlaneDiff, 'differences'>,
): PlaneDiff['differences'] {
  const key = ({ cluster, kind, namespace, name }: PlaneDiff['differences'][number]) =>
    [cluster, kind, namespace, name].join('/');
  const others = new Set(fromTarget.map(key));
  return fromRecord.filter((difference) => others.has(key(difference)));
}

const against = ({ what, why, fix }: Pick<Finding, 'what' | 'why' | 'fix'>): Finding => ({
  what,
  why,
  fix,
  anchor: 'upgrade-refused',
  severity: 'fatal',
});

/** The way back leads to what is recorded, so that has to be what is there; a killed upgrade is taken back by deploy as well. */
function differenceProblems(differences: PlaneDiff['differences'], namespace: string): Finding[] {
  if (differences.length === 0) return [];
  return [
    against({
      what: words`${differences.length} objects are not as recorded, ${differences[0]!.name} among them (${command('diff', namespace)} shows all)`,
      fix: words`run ${command('deploy', namespace)} first`,
    }),
  ];
}

function stepProblems({ record }: Plane, namespace: string, from: string, to: string): Finding[] {
  if (record.phase === 'restoring')
    return [
      against({
        what: 'the restore of this plane is not finished',
        fix: words`run ${command('restore', namespace, 'FILE')} again, then upgrade`,
      }),
    ];
  if (record.phase !== 'available')
    return [
      against({
        what: 'the first deploy of this plane is not finished',
        fix: words`run ${command('deploy', namespace)} again, then upgrade`,
      }),
    ];
  const stay = `stay at ${from} or choose a newer one; for an older one make another plane in another namespace`;
  const outcome = versionStep(from, to, { to: (version) => option('to', version), stay });
  if (outcome.state === 'failed') return [against(outcome)];
  return patchOf(to) < patchOf(from) && minorOf(from) === minorOf(to)
    ? [against({ what: `${to} is older than ${from}`, fix: 'choose a newer version' })]
    : [];
}

/** A kubelet may be three minors older than the API server, and never newer (https://kubernetes.io/releases/version-skew-policy/). Pure. */
export function skewProblems(workers: UpgradePlan['workers'], to: string): Finding[] {
  const ahead = (version: string) => minorNumber(version) - minorNumber(to);
  const accepted = words`or add ${option('acceptWorkerSkew')}, when these workers may fail`;
  return firstFew(
    workers.filter(({ version }) => version && !(ahead(version) <= 0 && ahead(version) >= -3)),
    ({ name, version }) =>
      against({
        what: `the kubelet of worker ${name} is at ${version}, ${ahead(version) > 0 ? 'newer than' : 'more than three minors older than'} an API server at ${to} may meet`,
        fix: words`${
          ahead(version) > 0
            ? 'upgrade to at least its version'
            : `upgrade that kubelet first, or take the worker away (kubectl delete node ${shellWord(name)})`
        }; ${accepted}`,
      }),
    (more) => `the kubelets of ${more} more workers are of versions that do not go with ${to}`,
  );
}

/** An image that was given by name stays what it is, so the version that goes with it would be a lie. */
function pinnedProblems(spec: ClusterSpec, namespace: string): Finding[] {
  const pinned = (['apiServerImage', 'controllerManagerImage', 'schedulerImage', 'kubeProxyImage'] as const).filter(
    (name) => spec[name] !== undefined,
  );
  return pinned.map((name) =>
    against({
      what: words`${field(name)} fixes the image ${spec[name]!}, which an upgrade would not change`,
      fix: words`take the option back first: ${command('deploy', namespace, option('reset', field(name)))}`,
    }),
  );
}

/** What asks for, or has written through, an API that the new version does not serve; the caller may accept it. Pure. */
export function removedApiProblems({ removedApis }: Pick<UpgradePlan, 'removedApis'>): Finding[] {
  return removedApis.map(({ api, removedIn, instead, objects }) => {
    const users = objects
      .slice(0, 3)
      .map(({ name, namespace, manager }) => `${namespace ? `${namespace}/` : ''}${name} (by ${manager})`);
    const more = objects.length > 3 ? ` and ${objects.length - 3} more` : '';
    return against({
      what: `${removedIn} no longer serves ${api}${instead ? `, use ${instead}` : ''}: ${objects.length > 0 ? `written through it: ${users.join(', ')}${more}` : 'somebody has asked for it since the API server started'}`,
      fix: words`let its writer use the newer version first, or add ${option('acceptRemovedApis')}`,
    });
  });
}

type AllImages = ReturnType<typeof imagesFor>;

function imagesFor(spec: ClusterSpec) {
  const { kubeProxy, coredns, node } = imagesOf(spec);
  return {
    ...byComponent(({ image }) => [image(spec)]),
    addons: [kubeProxy, coredns, ...driverOf(spec).images(spec), node],
    workerPods: spec.workerPods > 0 ? [workerImageOf(spec)] : [''],
  };
}

function stepsOf(before: AllImages, after: AllImages, spec: ClusterSpec): UpgradeStep[] {
  const needed = new Set(allImages(spec).map(({ image }) => image));
  const change = (...names: (keyof AllImages)[]) =>
    names
      .flatMap((name) => after[name].map((to, index) => ({ from: before[name][index] ?? '', to })))
      .filter(({ from, to }) => from !== to && needed.has(to));
  const steps: UpgradeStep[] = [
    { step: 'etcd', images: change('etcd'), effect: 'the API does not answer until etcd is back' },
    {
      step: 'API servers',
      images: change('kube-apiserver'),
      effect: 'the API does not answer for some seconds, while its pod is replaced; what runs on workers goes on',
    },
    {
      step: 'controller-manager and scheduler',
      images: change(...apiServerClients),
      effect: 'nothing new is scheduled for some seconds',
    },
    {
      step: 'child assets',
      images: change('addons'),
      effect: 'the DaemonSets are replaced worker by worker',
    },
    {
      step: 'worker pods',
      images: change('workerPods'),
      effect: 'one after the other is drained, as PodDisruptionBudgets allow it, and made anew',
    },
  ];
  return steps.filter(({ images }) => images.length > 0);
}

const patchOf = (version: string): number => Number(version.split('.')[2]?.split('-')[0]);
