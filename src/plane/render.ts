import { isIpv4, networksIn, nthAddress } from '../base/cidr.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { ConfigMap, KubeObject, Secret, Service, Workload } from '../kube/objects.ts';
import type { CertificateContext, PkiBundle } from '../pki/certificates.ts';
import { type Addresses, hostAndPort } from './addresses.ts';
import { type Beside, buildBeside, byBeside } from './beside/lookup.ts';
import type { PlaneComponent, ServiceMoment } from './components/component.ts';
import { type Membership, settledMembership } from './components/etcd/membership.ts';
import { byComponent, type Component } from './components/lookup.ts';
import { restartHash } from './config-hash.ts';
import { buildExposure } from './exposures/table.ts';
import { buildFurther } from './further.ts';
import { buildDisruptionBudgets, buildPolicies } from './policies.ts';
import { type PlaneRecord, toConfigMap } from './record.ts';
import { buildSecrets } from './secrets.ts';
import { buildServices } from './services.ts';
import { partStartFiles } from './start-files.ts';
import type { Storage } from './storage.ts';
import { buildWorkloads } from './workloads.ts';

/**
 * What all objects of a plane follow from. A namespace tells it of a plane that is there (`Plane`, live/open.ts); of one that is
 * deployed it is found out step by step (`Preparation`, rollout/prepare.ts).
 */
export interface PlaneSource {
  record: PlaneRecord;
  spec: ClusterSpec;
  addresses: Addresses;
  storage: Storage;
  bundle: PkiBundle;
}

/** A plane's objects in the infra cluster. */
export interface RenderedPlane {
  /** As the record was given, with the issuers of the addresses. */
  record: ConfigMap;
  services: Service[];
  /** What leads to the API server's service; none where that is reached itself. */
  exposure: KubeObject[];
  secrets: Secret[];
  /** By component; without pods while the plane sleeps. */
  workloads: Record<Component, Workload>;
  policies: KubeObject[];
  /** For components of more than one pod. */
  disruptionBudgets: KubeObject[];
  /** Of the kinds that single components have, but for services. */
  further: KubeObject[];
  /** What stands beside the control plane, but for its Secrets, which are made when they are applied. */
  beside: Record<Beside, KubeObject[]>;
  /** All of them, in an order in which they can be applied. */
  all(): KubeObject[];
}

/** Everything of a plane that lies in the infra cluster. Pure but for the files of the package. */
export function renderPlane(source: PlaneSource & { membership?: Membership }): RenderedPlane {
  const { record, spec, addresses, storage, bundle } = source;
  const { planeId } = record;
  const { services, exposure } = renderExposure(record, spec, { starting: record.phase !== 'available' });
  const files = buildSecrets(bundle, {
    planeId,
    spec,
    internalServer: `https://${addresses.apiserverServiceIp}`,
    publicServer: addresses.publicServer,
    infraIssuer: record.infraIssuer,
  });
  const membership = source.membership ?? settledMembership(spec.etcdMembers, record.phase === 'available');
  const hashes = byComponent((component) => configHash(component, files, record));
  const { secrets, startFiles } = partStartFiles(files);
  const workloads = buildWorkloads(
    { planeId, spec, addresses, storage, membership, startFiles, infraServices: record.infraServices },
    hashes,
  );
  const parts = {
    record: toConfigMap({ ...record, issuers: addresses.issuers }),
    services,
    exposure,
    secrets,
    policies: buildPolicies(planeId, spec),
    disruptionBudgets: buildDisruptionBudgets(planeId, spec),
    further: buildFurther(planeId, spec),
    beside: byBeside((each) =>
      buildBeside(each, {
        planeId,
        spec,
        storage,
        plane: { addresses, bundle, infraServices: record.infraServices },
        asleep: record.asleep !== undefined,
      }),
    ),
    workloads: record.asleep ? withoutPods(workloads) : workloads,
  };
  return { ...parts, all: () => inOrder(parts) };
}

/**
 * How the plane is reached in and from the infra cluster, which gives these objects the addresses that the rest of the
 * plane follows from. Pure.
 */
export function renderExposure(
  { planeId, earlierHosts = [], unexposedHosts = [] }: Pick<PlaneRecord, 'planeId' | 'earlierHosts' | 'unexposedHosts'>,
  spec: ClusterSpec,
  moment: Partial<ServiceMoment>,
): Pick<RenderedPlane, 'services' | 'exposure'> {
  const exposed = earlierHosts.filter((host) => !unexposedHosts.includes(host));
  return { services: buildServices(planeId, spec, moment), exposure: buildExposure(planeId, spec, exposed) };
}

function inOrder(plane: Omit<RenderedPlane, 'all'>): KubeObject[] {
  return [
    plane.record,
    ...plane.services,
    ...plane.exposure,
    ...plane.secrets,
    ...plane.policies,
    ...plane.disruptionBudgets,
    ...plane.further,
    ...Object.values(plane.workloads),
    ...Object.values(plane.beside).flat(),
  ];
}

/** Whoever knew data that etcd lost is made anew. */
function configHash(component: PlaneComponent, secrets: Secret[], { losses }: PlaneRecord): string {
  return `${restartHash(component, secrets)}${component.name !== 'etcd' && losses ? `-${losses}` : ''}`;
}

function withoutPods(workloads: Record<Component, Workload>): Record<Component, Workload> {
  return byComponent(({ name }) => ({ ...workloads[name], spec: { ...workloads[name].spec, replicas: 0 } }));
}

/** The names and addresses that the plane's certificates have to carry. */
export function certificateContext(namespace: string, spec: ClusterSpec, addresses: Addresses): CertificateContext {
  return {
    host: spec.host,
    namespace,
    dnsDomain: spec.dnsDomain,
    firstServiceIp: nthAddress(networksIn(spec.serviceCidr)[0], 1),
    apiserverServiceIp: addresses.apiserverServiceIp,
    workerEndpointHost: hostAndPort(addresses.workerServer).host,
    extraSans: [
      ...spec.moreHosts,
      ...spec.sans,
      ...addresses.earlierHosts,
      ...(isIpv4(addresses.advertised.address) ? [addresses.advertised.address] : []),
    ],
    etcdServiceIps: addresses.etcdServiceIps,
    egress: spec.egress,
    konnectivityHost: addresses.konnectivity?.host,
    trustsInfra: spec.trustInfra.length > 0,
    tunnelHost: spec.tunnelHost,
  };
}
