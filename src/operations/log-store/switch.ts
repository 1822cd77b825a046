import logRights from '../../../templates/rights/logs.yaml';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { type Applied, nothingApplied } from '../../live/apply.ts';
import { updateRecord } from '../../live/record.ts';
import { withPlane } from '../../live/with-plane.ts';
import { render } from '../../manifests/render.ts';
import { logStore } from '../../plane/beside/log-store/log-store.ts';
import { demandForLogs } from '../../preflight/deploy-checks.ts';
import { ensureBeside } from '../../rollout/beside.ts';
import type { Work } from '../../ui/work.ts';

export type LogSettings = Pick<ClusterSpecInput, 'logs' | 'logsStorage' | 'logsRetention' | 'logStoreImage'>;

/** The objects that the administrator of the infra cluster makes in the namespace before. Pure. */
export function logRightsObjects(namespace: string): KubeObject[] {
  return render(logRights, { namespace }, 'rights/logs.yaml').map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  }));
}

/**
 * Begins to keep a plane's logs, ends that, or changes how; nothing else of the plane is touched, and none of its pods is replaced.
 *
 * @returns what was applied, and whether it is as asked for by now
 * @throws UserError `log-account`, `quota`, `bad-values`, and as withPlane
 */
export async function switchLogs(
  cluster: InfraCluster,
  settings: LogSettings,
  work: Work,
): Promise<{ applied: Applied; ready: boolean }> {
  return withPlane(cluster, 'logs', work, async (plane) => {
    const { held } = plane;
    const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
    const spec: ClusterSpec = parseSpec({ ...plane.spec, ...given, allowUntestedVersion: true }, 'with these logs');
    spec.allowUntestedVersion = plane.spec.allowUntestedVersion;
    if (spec.logs) await demandForLogs(held.cluster, spec, held.reporter);
    await updateRecord(held, (now) => ({ ...now, spec: { ...now.spec, ...given } }));
    const applied = nothingApplied();
    return { applied, ready: await ensureBeside(logStore, { ...plane, spec, cluster: held.cluster }, applied, held) };
  });
}
