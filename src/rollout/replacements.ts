import { ApiError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Pod, Secret, Workload } from '../kube/objects.ts';
import type { Existing } from '../live/apply.ts';
import { differences, type FieldDifference } from '../live/differences.ts';
import { podsOf } from '../live/pods.ts';
import { nameOfArgument } from '../plane/arguments.ts';
import type { Component } from '../plane/components/lookup.ts';
import { componentNamed, componentNames } from '../plane/components/lookup.ts';
import { changedStartFiles } from '../plane/config-hash.ts';
import { withStartFiles } from '../plane/start-files.ts';
import { configHash, templateHash, templateHashOf } from '../plane/workloads.ts';

/** Pods of a component that a change of the plane replaces. */
export interface Replacement {
  component: Component;
  /** Names of the pods that go; none where those that should be there cannot be made. */
  pods: string[];
  /** What changes: `arguments (max-requests-inflight)`, `certificates (konnectivity-server)`, `image (etcd:3.7.3-0)`. */
  changed: string[];
  /**
   * `asked`: the component is to run by something else than before. `drift`: what somebody else changed is put back.
   * `unfinished`: an earlier run had applied the change, and was ended before these pods were replaced.
   */
  cause: 'asked' | 'drift' | 'unfinished';
}

interface Wanted {
  workloads: Record<Component, Workload>;
  /** The plane's Secrets, as they are to be applied. */
  secrets: Secret[];
}

/**
 * The pods that applying `wanted` would replace, found out by a server-side dry run. A plane that sleeps has none.
 *
 * @param existing what the namespace holds, as it was read before
 */
export async function findReplacements(
  cluster: InfraCluster,
  planeId: string,
  wanted: Wanted,
  existing: Existing,
): Promise<Replacement[]> {
  const there = Object.values(wanted.workloads).filter(
    (workload) => (existing.find<Workload>(workload)?.spec.replicas ?? 0) > 0,
  );
  if (there.length === 0) return [];
  const [pods, ...after] = await Promise.all([
    podsOf(cluster, planeId),
    ...there.map((workload) => cluster.apply<Workload>(workload, { dryRun: true }).catch(unlessRefused)),
  ]);
  return replacementsOf(
    wanted,
    existing,
    after.filter((each) => each !== undefined),
    pods,
  );
}

/** Why it is refused is told when it is applied in earnest. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof ApiError)) throw error;
}

/**
 * The same of what a dry run has answered. Pure.
 *
 * @param after the workloads as the server would have them; one that is missing is told by its hash alone
 */
export function replacementsOf(
  { workloads, secrets }: Wanted,
  existing: Pick<Existing, 'find' | 'ofKind'>,
  after: KubeObject[],
  pods: Pod[],
): Replacement[] {
  return componentNames.flatMap((component): Replacement[] => {
    const next = workloads[component];
    const before = existing.find<Workload>(next);
    if (!before?.spec.replicas) return [];
    const then = after.find(({ kind, metadata }) => kind === next.kind && metadata.name === component);
    const asked = templateHashOf(before) !== templateHashOf(next);
    const fields = then ? templateDifferences(before, then as Workload) : [];
    // A StatefulSet leaves its pods as they are, so what does not change the hash replaces none of them.
    const renewed = asked || (next.kind === 'Deployment' && fields.length > 0);
    const own = pods.filter((pod) => isOf(pod, component) && !pod.metadata.deletionTimestamp);
    const gone = own.filter((pod) => renewed || pod.metadata.annotations?.[templateHash] !== templateHashOf(next));
    if (!renewed && gone.length === 0) return [];
    const cause = asked ? 'asked' : renewed ? 'drift' : 'unfinished';
    const files = () =>
      changedStartFiles(
        componentNamed(component),
        withStartFiles(existing.ofKind<Secret>('Secret'), before),
        withStartFiles(secrets, next),
      );
    return [
      {
        component,
        pods: gone.map(({ metadata }) => metadata.name),
        changed: renewed ? describeFields(component, fields, files) : [],
        cause,
      },
    ];
  });
}

/** `kube-apiserver: its pod is to be replaced, to change its arguments (max-requests-inflight)`. Pure. @param tried by a dry run alone */
export function describeReplacement({ component, pods, changed, cause }: Replacement, tried = false): string {
  const several = pods.length !== 1;
  const [whose, are] = several ? [`its ${pods.length} pods`, 'are to be'] : ['its pod', 'is to be'];
  const what = changed.join(', ') || 'pod template';
  const why = {
    asked: `to change its ${what}`,
    drift: `to put back its ${what}, which somebody changed`,
    unfinished: 'as an earlier run had begun',
  }[cause];
  return `${component}: ${whose} ${tried ? 'would be' : are} replaced${several ? ' one after the other' : ''}, ${why}`;
}

function isOf({ metadata }: Pod, component: Component): boolean {
  return metadata.labels?.['app.kubernetes.io/name'] === component;
}

function templateDifferences(before: Workload, after: Workload): FieldDifference[] {
  const [old, next] = [before, after].map(({ spec: { template } }) => ({
    ...template,
    metadata: template.metadata ?? {},
  }));
  return differences(old!, next!);
}

/** @param files names of the files that the component reads at its start and that are others */
function describeFields(component: Component, fields: FieldDifference[], files: () => string[]): string[] {
  const found = new Map<string, Set<string>>();
  const add = (what: string, ...details: string[]) => {
    const of = found.get(what) ?? new Set();
    for (const detail of details) of.add(detail);
    found.set(what, of);
  };
  for (const field of fields) {
    const [, annotation] = /^metadata\.annotations\["(.*)"\]$/.exec(field.path) ?? [];
    if (annotation === templateHash) continue;
    if (annotation !== configHash && !startFilesVolume.test(field.path)) add(...describeField(component, field));
    else {
      const names = files();
      for (const file of names) add(...kindOfFile(file));
      if (names.length === 0) add('start files');
    }
  }
  return [...found].map(([what, details]) => (details.size > 0 ? `${what} (${[...details].join(', ')})` : what));
}

function kindOfFile(file: string): [string, string] {
  return /\.(crt|key)$/.test(file) ? ['certificates', file.replace(/\.(crt|key)$/, '')] : ['files', file];
}

/** They change their names with what is in them. */
const startFilesVolume = /^spec\.volumes\[(pki|egress)\]\.(secret|projected)/;

const containerField = /^spec\.(?:initContainers|containers)\[([^\]]+)\](?:\.(\w+))?(?:\[([^\]]+)\])?/;

/** What a field of a pod template is to people, and which part of it changes. */
function describeField(component: Component, { path, live, recorded }: FieldDifference): [string, ...string[]] {
  const [, container, field, item] = containerField.exec(path) ?? [];
  if (!container) {
    const [, labels, label] = /^metadata\.(\w+)\["?([^"\]]+)"?\]/.exec(path) ?? [];
    return labels ? [labels, label!] : [path.replace(/^(spec|metadata)\./, '').split(/[.[]/)[0]!];
  }
  const of = container === component ? '' : ` of ${container}`;
  if (!field) return ['containers', container];
  if (field === 'image') return [`image${of}`, String(recorded).replace(/^.*\//, '')];
  if (field === 'args') return [`arguments${of}`, ...changedArguments(live, recorded)];
  if (field === 'env') return [`environment${of}`, ...(item ? [item] : [])];
  return [`${field}${of}`, ...(item ? [item] : [])];
}

function changedArguments(live: unknown, recorded: unknown): string[] {
  const [old, next] = [live, recorded].map((args) => new Set((args ?? []) as string[]));
  const other = [...[...old!].filter((each) => !next!.has(each)), ...[...next!].filter((each) => !old!.has(each))];
  return [...new Set(other.map(nameOfArgument))];
}
