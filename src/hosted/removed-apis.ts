import { isForbidden, isNotFound } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { KubeList, KubeObject } from '../kube/objects.ts';

/** A resource that a Kubernetes minor no longer serves under a group and version. */
interface RemovedApi {
  removedIn: string;
  group: string;
  version: string;
  resources: string[];
  /** The version of the group that is still served. */
  instead: string;
}

/** From the `+k8s:prerelease-lifecycle-gen:removed` marks of k8s.io/api 0.37.2, for the minors that k8sk8s knows. */
const removedApis: RemovedApi[] = [
  row('1.35', 'storage.k8s.io', 'v1alpha1', ['volumeattributesclasses'], 'v1'),
  row('1.37', 'certificates.k8s.io', 'v1alpha1', ['clustertrustbundles'], 'v1beta1'),
  row('1.37', 'networking.k8s.io', 'v1beta1', ['ipaddresses', 'servicecidrs'], 'v1'),
  row('1.37', 'storage.k8s.io', 'v1beta1', ['volumeattributesclasses'], 'v1'),
  row(
    '1.38',
    'resource.k8s.io',
    'v1beta1',
    ['deviceclasses', 'resourceclaims', 'resourceclaimtemplates', 'resourceslices'],
    'v1',
  ),
  row('1.38', 'coordination.k8s.io', 'v1alpha2', ['leasecandidates'], 'v1beta1'),
  row(
    '1.38',
    'admissionregistration.k8s.io',
    'v1alpha1',
    ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'],
    'v1',
  ),
];

function row(removedIn: string, group: string, version: string, resources: string[], instead: string): RemovedApi {
  return { removedIn, group, version, resources, instead };
}

/** A use of an API that a later version removes. */
export interface RemovedApiUse {
  /** `networking.k8s.io/v1beta1 servicecidrs`. */
  api: string;
  removedIn: string;
  /** The version that replaces it, if that is known. */
  instead?: string;
  /** Objects that were last written through it, with the manager who wrote them; empty if it was only requested. */
  objects: { name: string; namespace?: string; manager: string }[];
}

/**
 * The uses of APIs that minors above `from` and up to `to` no longer serve: objects that were written through them, and
 * requests that the API server has counted since its start
 * (https://kubernetes.io/docs/reference/using-api/deprecation-guide/).
 *
 * @param from minor such as `1.36`, the one that runs
 */
export async function removedApisInUse(cluster: HostedCluster, from: string, to: string): Promise<RemovedApiUse[]> {
  const going = removedApis.filter(
    ({ removedIn }) => number(removedIn) > number(from) && number(removedIn) <= number(to),
  );
  const [written, requested] = await Promise.all([
    Promise.all(going.flatMap((api) => api.resources.map((resource) => objectsWrittenThrough(cluster, api, resource)))),
    cluster.metrics().then((text) => requestedRemovedApis(text, from, to)),
  ]);
  const uses = written.flat();
  const told = new Set(uses.map(({ api }) => api));
  return [...uses, ...requested.filter(({ api }) => !told.has(api))];
}

async function objectsWrittenThrough(
  cluster: HostedCluster,
  api: RemovedApi,
  resource: string,
): Promise<RemovedApiUse[]> {
  const apiVersion = `${api.group}/${api.version}`;
  const list = await cluster.transport
    .request<KubeList<KubeObject>>({ method: 'GET', path: `/apis/${apiVersion}/${resource}` })
    .catch((error) => (isNotFound(error) || isForbidden(error) ? undefined : Promise.reject(error)));
  const objects = (list?.body.items ?? []).flatMap(({ metadata }) => {
    const entry = metadata.managedFields?.find((each) => each.apiVersion === apiVersion);
    return entry ? [{ name: metadata.name, namespace: metadata.namespace, manager: entry.manager ?? 'somebody' }] : [];
  });
  if (objects.length === 0) return [];
  const { removedIn, instead } = api;
  return [{ api: `${apiVersion} ${resource}`, removedIn, instead: `${api.group}/${instead}`, objects }];
}

/** Reads the gauge apiserver_requested_deprecated_apis from an API server's metrics. Pure. */
export function requestedRemovedApis(metrics: string, from: string, to: string): RemovedApiUse[] {
  const uses = [...metrics.matchAll(/^apiserver_requested_deprecated_apis\{([^}]*)\} [1-9]/gm)].flatMap(
    ([, labels]) => {
      const {
        group,
        version,
        resource,
        removed_release: removedIn,
      } = Object.fromEntries([...labels!.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
      if (!removedIn || number(removedIn) <= number(from) || number(removedIn) > number(to)) return [];
      return [{ api: `${group ? `${group}/` : ''}${version} ${resource}`, removedIn, objects: [] }];
    },
  );
  return [...new Map(uses.map((use) => [use.api, use])).values()];
}

const number = (minor: string): number => Number(minor.split('.')[1]);
