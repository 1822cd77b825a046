import { isIpv4, nthAddress, parseCidr } from '../base/cidr.ts';
import { type Component, components } from '../config/components.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject, Secret, Workload } from '../kube/objects.ts';
import type { CertificateContext, PkiBundle } from '../pki/certificates.ts';
import { type Addresses, hostAndPort } from './addresses.ts';
import { restartHash } from './config-hash.ts';
import type { PlaneRecord } from './record.ts';
import { buildSecrets } from './secrets.ts';
import type { Storage } from './storage.ts';
import { buildWorkloads, settledMembership } from './workloads.ts';

/** Everything of a plane that follows from its spec, addresses and certificates; without pods while it sleeps. Pure. */
export function buildControlPlane(
  { planeId, phase, losses, asleep }: Pick<PlaneRecord, 'planeId' | 'phase' | 'losses' | 'asleep'>,
  spec: ClusterSpec,
  addresses: Addresses,
  storage: Storage,
  bundle: PkiBundle,
  membership = settledMembership(spec.etcdMembers, phase === 'available'),
): { secrets: Secret[]; workloads: KubeObject[] } {
  const secrets = buildSecrets(bundle, {
    planeId,
    spec,
    internalServer: `https://${addresses.apiserverServiceIp}`,
    publicServer: addresses.publicServer,
  });
  const configHash = Object.fromEntries(
    components.map((component) => [
      component,
      `${restartHash(component, secrets)}${component !== 'etcd' && losses ? `-${losses}` : ''}`,
    ]),
  ) as Record<Component, string>;
  const workloads = buildWorkloads({ planeId, spec, addresses, storage, membership, configHash });
  return { secrets, workloads: asleep ? workloads.map(withoutPods) : workloads };
}

function withoutPods(workload: KubeObject): KubeObject {
  return { ...workload, spec: { ...(workload as Workload).spec, replicas: 0 } } as Workload;
}

/** The names and addresses that the plane's certificates have to carry. */
export function certificateContext(namespace: string, spec: ClusterSpec, addresses: Addresses): CertificateContext {
  return {
    host: spec.host,
    namespace,
    dnsDomain: spec.dnsDomain,
    firstServiceIp: nthAddress(parseCidr(spec.serviceCidr)!, 1),
    apiserverServiceIp: addresses.apiserverServiceIp,
    workerEndpointHost: hostAndPort(addresses.workerServer).host,
    extraSans: [...spec.sans, ...(isIpv4(addresses.advertised.address) ? [addresses.advertised.address] : [])],
    etcdServiceIps: addresses.etcdServiceIps,
    egress: spec.egress,
    konnectivityHost: addresses.konnectivity?.host,
  };
}
