import { UserError } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Secret } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { lifetimeOf, readLifetimeJob } from '../../live/lifetime.ts';
import { readRecord, requireRecord } from '../../live/record.ts';
import { sealingOf } from '../../live/sealed-ca.ts';
import { type PlaneRecord, specRecorded } from '../../plane/record.ts';
import { readBundle } from '../../plane/secrets.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { deploy } from '../deploy/deploy.ts';
import type { WantedLifetime } from '../deploy/lifetime.ts';
import type { SpecChoice } from '../deploy/spec-choice.ts';
import { destroy } from '../destroy.ts';
import { type MadePlane, madeByDeploy } from './create.ts';
import { removeFiles } from './handout.ts';
import { forEach, type Lesson, type Outcome, type Student } from './queue.ts';

/**
 * Deletes a student's plane and makes it again with the same options and the same end, with new CAs and without data. What deploy would refuse
 * is refused before anything is deleted.
 *
 * @param options `folder`: where its kubeconfig is replaced
 */
export function resetPlane(
  student: Student,
  lesson: Lesson,
  { folder, cacheFolder }: { folder: string; cacheFolder?: string },
): Promise<Outcome<MadePlane>[]> {
  let before: { record: PlaneRecord; lifetime: WantedLifetime; webhookKubeconfig?: string } | undefined;
  return forEach([student], lesson, ['resetting', 'available'], async (cluster, _, work) => {
    before ??= {
      record: await requireRecord(cluster),
      lifetime: await lifetimeNow(cluster),
      webhookKubeconfig: readBundle((await Existing.read(cluster)).ofKind<Secret>('Secret'))?.webhook,
    };
    const { record, ...asBefore } = before;
    const { reporter } = work;
    // After an earlier try, the old plane may be gone already.
    const present = await readRecord(cluster);
    if (present?.planeId === record.planeId) {
      const spec = asItWas(record)(record);
      await refuseSealed(cluster, spec);
      await runPreflight(cluster, spec, reporter);
      // Whoever goes on where this run was killed finds none of the old plane.
      removeFiles(folder);
      await destroy(cluster, { ...work, agreed: record });
    }
    const files = { dir: folder, force: true };
    const options = { ...asBefore, choose: asItWas(record), files, cacheFolder, allowDataLoss: false };
    return madeByDeploy(await deploy(cluster, { ...work, ...options }));
  });
}

async function lifetimeNow(cluster: InfraCluster): Promise<WantedLifetime> {
  const endsAt = lifetimeOf(await readLifetimeJob(cluster))?.endsAt;
  return endsAt === undefined ? undefined : { at: new Date(endsAt) };
}

function asItWas({ spec }: PlaneRecord): SpecChoice {
  return () => specRecorded({ spec });
}

/**
 * The present CA may be sealed by a key that is not at hand; a new one would have to be sealed first.
 *
 * @throws UserError `seal-file`
 */
export async function refuseSealed(cluster: InfraCluster, spec: Pick<ClusterSpec, 'seal'>): Promise<void> {
  if (spec.seal === 'none' || sealingOf(spec, cluster)?.close) return;
  const { namespace } = cluster;
  throw new UserError({
    what: words`the plane in namespace "${namespace}" stays: a new one needs what seals the key of its CA (${field('seal', spec.seal)})`,
    why: 'a class has no file for that',
    fix: words`make the plane anew by itself: ${command('destroy', namespace)}, and then ${command('deploy', namespace, option('sealFile', 'FILE'))}`,
    anchor: 'seal-file',
    kind: 'refused',
  });
}
