import { messageOf } from '../base/errors.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { buildAddons } from '../hosted/addons/addons.ts';
import { hostedPullSecret } from '../hosted/pull-secret.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../kube/objects.ts';
import { differences, type FieldDifference } from '../live/differences.ts';
import { connectAsAdministrator } from '../live/open.ts';
import { requireRecord } from '../live/record.ts';
import { recordName } from '../plane/names.ts';
import { recordKind, specRecorded } from '../plane/record.ts';
import { planInfra } from './infra-plan.ts';
import { isOfSameMoment, untilUndisturbed } from './same-moment.ts';

/** An object of a plane that is not as deploy would leave it. */
interface ObjectDifference {
  cluster: 'infra' | 'hosted';
  kind: string;
  name: string;
  namespace?: string;
  state: 'missing' | 'changed';
  /** Values of Secrets are left out: there, `live` and `recorded` are absent. */
  fields: FieldDifference[];
}

export interface PlaneDiff {
  namespace: string;
  plane: string;
  /** Of k8sk8s: which one deployed the plane last. */
  deployedBy: string;
  compared: number;
  differences: ObjectDifference[];
  /** The plane sleeps, as recorded: there is no hosted cluster to compare with. */
  asleep: boolean;
  /** Why the objects of the hosted cluster could not be compared, when they could not. */
  unknown?: string;
}

/**
 * The recorded spec against the live objects of both clusters. What deploy would send is sent as a dry run, so the
 * server itself tells what would become of every field that k8sk8s owns, and fields of others do not appear.
 *
 * @param instead of the recorded spec, to see what is as another one wants it
 * @throws UserError `no-plane`, and what deploy says about authorities that are lost or broken
 */
export async function diffPlane(cluster: InfraCluster, instead?: ClusterSpec): Promise<PlaneDiff> {
  const record = await requireRecord(cluster);
  const spec = instead ?? specRecorded(record);
  const { objects, before, addresses, bundle } = await planInfra(cluster, record, spec);
  const infra = objects.flatMap((recorded) => {
    const live = before.find(recorded);
    // The record is what is compared with: that another k8sk8s would write it in other words is no difference.
    const { data } = (live ?? {}) as ConfigMap;
    return compare('infra', live, isRecord(recorded) ? ({ ...recorded, data } as KubeObject) : recorded);
  });
  const secret = await hostedPullSecret(cluster, spec);
  const assets = [...secret, ...buildAddons(spec, addresses, bundle.authorities)];
  const result = {
    namespace: cluster.namespace,
    plane: record.planeId,
    deployedBy: record.toolVersion,
    asleep: record.asleep !== undefined,
  };
  if (result.asleep) return { ...result, compared: objects.length, differences: infra };
  const hosted = await connectAsAdministrator(cluster, addresses, bundle);
  const tryAsset = async (asset: KubeObject) => {
    const live = await hosted.get(asset, asset.metadata.name, asset.metadata.namespace);
    return { live, recorded: live ? await hosted.apply(asset, { dryRun: true }) : asset };
  };
  const compareAsset = async (asset: KubeObject): Promise<ObjectDifference[]> => {
    const { live, recorded } = await untilUndisturbed(
      () => tryAsset(asset),
      (tried) => isOfSameMoment(tried.live, tried.recorded),
    );
    return compare('hosted', live, recorded);
  };
  try {
    // Asked once first: with nothing there, every object would be tried again and again.
    await hosted.ready(5000);
    const child = (await Promise.all(assets.map(compareAsset))).flat();
    return { ...result, compared: objects.length + assets.length, differences: [...infra, ...child] };
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof ConnectionError)) throw error;
    return { ...result, compared: objects.length, differences: infra, unknown: messageOf(error) };
  } finally {
    await hosted.close();
  }
}

function isRecord({ kind, metadata }: KubeObject): boolean {
  return kind === recordKind.kind && metadata.name === recordName;
}

function compare(where: 'infra' | 'hosted', live: KubeObject | undefined, recorded: KubeObject): ObjectDifference[] {
  const { name, namespace } = recorded.metadata;
  const of = { cluster: where, kind: recorded.kind, name, ...(where === 'hosted' && namespace && { namespace }) };
  if (!live) return [{ ...of, state: 'missing', fields: [] }];
  const fields = differences(live, recorded);
  if (fields.length === 0) return [];
  return [{ ...of, state: 'changed', fields: recorded.kind === 'Secret' ? fields.map(withoutValue) : fields }];
}

function withoutValue({ path, ...values }: FieldDifference): FieldDifference {
  return /^(data|stringData)\b/.test(path) ? { path } : { path, ...values };
}
