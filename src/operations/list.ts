import pLimit from 'p-limit';
import { type Finding, UserError } from '../base/errors.ts';
import { connectInfra } from '../kube/connect.ts';
import type { Connection } from '../kube/connection.ts';
import { explainCallError, isForbidden } from '../kube/errors.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { anyPlaneSelector, recordName } from '../plane/names.ts';
import { type PlaneRecord, parseRecord } from '../plane/record.ts';
import { type Health, healthOf, problemsOf } from './status/problems.ts';
import { planeStatus } from './status/status.ts';

export interface ListedPlane {
  namespace: string;
  host: string;
  version: string;
  /** As `status` says it; `unknown` where the caller may not look. */
  health: Health;
  /** What is not well, the gravest first. */
  findings: Finding[];
  /** RFC 3339; absent where it does not end by itself. */
  endsAt?: string;
  plane: string;
}

/** Planes that are looked at beside each other. */
const atOnce = 8;

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
      if (everywhere) return { planes: await planesOf(cluster, everywhere.items), searched: 'the whole infra cluster' };
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
      planes: await planesOf(
        cluster,
        found.filter((object) => object !== undefined),
      ),
      searched: `namespace ${[first, ...others].join(', ')} (you may not list the whole infra cluster)`,
    };
  } finally {
    await cluster.close();
  }
}

async function planesOf(cluster: InfraCluster, records: ConfigMap[]): Promise<ListedPlane[]> {
  const limit = pLimit(atOnce);
  return Promise.all(records.map((object) => limit(() => planeOf(cluster, object))));
}

/** What is wrong with one plane does not hide the others. */
async function planeOf({ transport }: InfraCluster, object: ConfigMap): Promise<ListedPlane> {
  const namespace = object.metadata.namespace ?? '';
  const plane = object.metadata.labels?.['app.kubernetes.io/instance'] ?? '';
  let record: PlaneRecord | undefined;
  try {
    record = parseRecord(object);
    const status = await planeStatus(new InfraCluster(transport, namespace));
    const findings = problemsOf(status);
    return {
      namespace,
      host: status.host,
      version: status.version,
      health: healthOf(status, findings),
      findings,
      endsAt: status.lifetime?.endsAt,
      plane,
    };
  } catch (error) {
    const finding = explainCallError(error, `look at the plane in namespace "${namespace}"`);
    if (!(finding instanceof UserError)) throw error;
    const { what, why, fix, anchor, severity } = finding;
    const { host = '', kubernetesVersion = '' } = record?.spec ?? {};
    const health = isForbidden(error) ? 'unknown' : 'unhealthy';
    const found: Finding = { what, why, fix, anchor, severity };
    return { namespace, host, version: String(kubernetesVersion), health, findings: [found], plane };
  }
}
