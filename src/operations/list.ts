import { UserError } from '../base/errors.ts';
import { connectInfra } from '../kube/connect.ts';
import type { Connection } from '../kube/connection.ts';
import { isForbidden } from '../kube/errors.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, Job } from '../kube/objects.ts';
import { lifetimeOf } from '../live/lifetime.ts';
import { anyPlaneSelector, lifetimeKind, lifetimeName, recordName } from '../plane/names.ts';
import { type PlaneRecord, parseRecord } from '../plane/record.ts';

export interface ListedPlane {
  namespace: string;
  host: string;
  version: string;
  /** `asleep`, or the record's; `record-newer` or `record-damaged` where it cannot be read. */
  phase: string;
  /** RFC 3339; absent where it does not end by itself. */
  endsAt?: string;
  plane: string;
}

/**
 * The planes that the caller may see: of the whole cluster where that is allowed, else of the namespaces that the
 * kubeconfig's contexts of this cluster name, because namespaces cannot be listed with the rights of one.
 */
export async function listPlanes(
  context: { connection: Connection; namespaces: string[] },
  namespace: string | undefined,
): Promise<{ planes: ListedPlane[]; searched: string }> {
  const [first = 'default', ...others] = namespace ? [namespace] : context.namespaces;
  const cluster = connectInfra(context.connection, first);
  try {
    if (namespace === undefined) {
      const everywhere = await cluster
        .listEverywhere<ConfigMap>(
          { apiVersion: 'v1', kind: 'ConfigMap' },
          { labelSelector: anyPlaneSelector, fieldSelector: `metadata.name=${recordName}` },
        )
        .catch(ifForbidden);
      if (everywhere) {
        const jobs = await lifetimesEverywhere(cluster);
        return { planes: planesOf(everywhere.items, jobs), searched: 'the whole infra cluster' };
      }
    }
    const found = await Promise.all(
      [first, ...others].map(async (each) => {
        try {
          // By the same connections: another kubeconfig to read and handshake to make for each of many would take seconds.
          const own = new InfraCluster(cluster.transport, each);
          const record = await own.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName);
          return record && { record, job: await own.get<Job>(lifetimeKind, lifetimeName).catch(ifForbidden) };
        } catch (error) {
          if (isForbidden(error) && namespace === undefined) return undefined;
          throw error;
        }
      }),
    );
    const present = found.filter((each) => each !== undefined);
    return {
      planes: planesOf(
        present.map(({ record }) => record),
        present.flatMap(({ job }) => job ?? []),
      ),
      searched: `namespace ${[first, ...others].join(', ')} (you may not list the whole infra cluster)`,
    };
  } finally {
    await cluster.close();
  }
}

/** A caller who may not see Jobs sees planes without their end. */
const ifForbidden = (error: unknown): undefined | Promise<never> =>
  isForbidden(error) ? undefined : Promise.reject(error);

async function lifetimesEverywhere(cluster: InfraCluster): Promise<Job[]> {
  const options = { labelSelector: anyPlaneSelector, fieldSelector: `metadata.name=${lifetimeName}` };
  return (await cluster.listEverywhere<Job>(lifetimeKind, options).catch(ifForbidden))?.items ?? [];
}

function planesOf(objects: ConfigMap[], jobs: Job[]): ListedPlane[] {
  const ends = new Map(jobs.map((job) => [job.metadata.namespace, lifetimeOf(job)?.endsAt]));
  return objects.flatMap((object): ListedPlane[] => {
    const namespace = object.metadata.namespace ?? '';
    let record: PlaneRecord | undefined;
    try {
      record = parseRecord(object);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // One record that cannot be read does not hide the other planes.
      const plane = object.metadata.labels?.['app.kubernetes.io/instance'] ?? '';
      return [{ namespace, host: '', version: '', phase: error.anchor, plane }];
    }
    return record
      ? [
          {
            namespace,
            host: record.spec.host,
            version: String(record.spec.kubernetesVersion ?? ''),
            phase: record.asleep ? 'asleep' : record.phase,
            endsAt: ends.get(namespace),
            plane: record.planeId,
          },
        ]
      : [];
  });
}
