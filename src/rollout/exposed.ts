import { UserError } from '../base/errors.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';
import type { Exposure, Verdict } from '../plane/exposures/exposure.ts';
import { exposureOf } from '../plane/exposures/table.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/** Milliseconds after which no controller has taken an object that still has no status. */
const silence = 10_000;
/** Milliseconds for which a refusal may stand before it counts: a controller may not know the service yet. */
const secondLook = 2000;

/**
 * Waits until a controller has taken what exposes the plane, where such objects have a status that says so.
 *
 * @param objects of exposures, as they were applied
 * @throws UserError `exposure-not-taken` with what the controller says, or that there is none
 */
export async function untilTaken(
  cluster: InfraCluster,
  spec: ClusterSpec,
  objects: KubeObject[],
  { reporter, signal }: Work,
): Promise<void> {
  const { judge } = exposureOf(spec);
  if (!judge || objects.length === 0) return;
  await reporter.during(`Waiting until the ${objects[0]!.kind} is taken`, () =>
    Promise.all(objects.map((object) => untilOneTaken(cluster, spec, object, judge, signal))),
  );
}

async function untilOneTaken(
  cluster: InfraCluster,
  spec: ClusterSpec,
  object: KubeObject,
  judge: NonNullable<Exposure['judge']>,
  signal: AbortSignal,
): Promise<void> {
  let verdict: Verdict = judge(object);
  let refusedSince: number | undefined;
  await waitFor({
    until: async () => {
      if (verdict.state !== 'taken') verdict = judge((await cluster.get(object, object.metadata.name)) ?? object);
      refusedSince = verdict.state === 'refused' ? (refusedSince ?? performance.now()) : undefined;
      return verdict.state === 'taken';
    },
    failure: () =>
      verdict.state === 'refused' && refusedSince !== undefined && performance.now() - refusedSince > secondLook
        ? refusedBy(object, verdict.why)
        : undefined,
    timeout: silence,
    signal,
    every: 250,
    late: (after) =>
      verdict.state === 'refused' ? refusedBy(object, verdict.why) : nobodyTook(object, spec, cluster.namespace, after),
  });
}

function refusedBy(object: KubeObject, why: string): UserError {
  return new UserError({
    what: `the ${nameOf(object)} is not taken, so nothing leads to the plane`,
    why,
    fix: words`the message is of the infra cluster's controller: choose another ${field('gateway')} or ${field('host')}, or ask who administers it`,
    anchor: 'exposure-not-taken',
  });
}

function nobodyTook(object: KubeObject, spec: ClusterSpec, namespace: string, after: string): UserError {
  const reads =
    spec.expose === 'gateway'
      ? `no controller of Gateway ${spec.gateway} reads TLSRoutes of ${object.apiVersion}. Traefik 3.6 reads those of v1alpha2 alone, which the experimental CustomResourceDefinitions of the Gateway API serve, and with --providers.kubernetesgateway.experimentalchannel=true`
      : 'no router of the infra cluster looks after it';
  return new UserError({
    what: `no controller has said anything about the ${nameOf(object)} for ${after}`,
    why: reads,
    fix: words`look at: kubectl -n ${namespace} describe ${object.kind.toLowerCase()} ${object.metadata.name}; or choose another ${field('expose')}`,
    anchor: 'exposure-not-taken',
  });
}
