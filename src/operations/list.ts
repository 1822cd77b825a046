import { UserError } from '../base/errors.ts';
import { connectInfra } from '../kube/connect.ts';
import type { Connection } from '../kube/connection.ts';
import { isForbidden } from '../kube/errors.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { anyPlaneSelector, recordName } from '../plane/names.ts';
import { type PlaneRecord, parseRecord } from '../plane/record.ts';

export interface ListedPlane {
  namespace: string;
  host: string;
  version: string;
  /** `asleep`, or the record's; `record-newer` or `record-damaged` where it cannot be read. */
  phase: string;
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
        .catch((error) => (isForbidden(error) ? undefined : Promise.reject(error)));
      if (everywhere) return { planes: planesOf(everywhere.items), searched: 'the whole infra cluster' };
    }
    const found = await Promise.all(
      [first, ...others].map(async (each) => {
        try {
          // By the same connections: another kubeconfig to read and handshake to make for each of many would take seconds.
          const own = new InfraCluster(cluster.transport, each);
          return await own.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, recordName);
        } catch (error) {
          if (isForbidden(error) && namespace === undefined) return undefined;
          throw error;
        }
      }),
    );
    return {
      planes: planesOf(found.filter((object) => object !== undefined)),
      searched: `namespace ${[first, ...others].join(', ')} (you may not list the whole infra cluster)`,
    };
  } finally {
    await cluster.close();
  }
}

function planesOf(objects: ConfigMap[]): ListedPlane[] {
  return objects.flatMap((object) => {
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
            plane: record.planeId,
          },
        ]
      : [];
  });
}
