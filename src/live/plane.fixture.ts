import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import type { Service } from '../kube/objects.ts';
import { ensureCertificates } from '../pki/certificates.ts';
import { addressesOf } from '../plane/addresses.ts';
import { type PlaneRecord, toConfigMap } from '../plane/record.ts';
import { certificateContext, renderPlane } from '../plane/render.ts';
import { buildServices } from '../plane/services.ts';
import type { InfraStore } from './infra-store.fixture.ts';

export const recordPath = 'configmaps/k8sk8s';
export const leasePath = 'leases/k8sk8s';

/**
 * Puts a plane into a store as deploy leaves it: record, services and Secrets, without workloads. Nothing answers at its
 * address.
 */
export async function putPlane(
  store: InfraStore,
  record: Partial<PlaneRecord> = {},
  input: Partial<ClusterSpecInput> = {},
): Promise<void> {
  const spec = parseSpec({ host: 'localhost', port: 1, etcdStorage: '1Gi', ...input }, 'in a test');
  const whole: PlaneRecord = {
    planeId: 'plane-0123456789',
    toolVersion: '0.1.0',
    spec,
    issuers: [],
    phase: 'available',
    ...record,
  };
  const services = buildServices(whole.planeId, spec) as Service[];
  for (const [index, service] of services.entries()) {
    const { ports = [] } = service.spec;
    service.spec = {
      ...service.spec,
      clusterIP: `10.96.0.${5 + index}`,
      ports: ports.map((port, number) => ({ ...port, nodePort: 31234 + number })),
    };
    store.put(`services/${service.metadata.name}`, service);
  }
  const addresses = addressesOf(spec, services);
  const { bundle } = await ensureCertificates(undefined, certificateContext('team', spec, addresses), {
    keyType: spec.keyType,
    sealing: undefined,
  });
  const storage = { kind: 'volume', size: '1Gi', storageClass: undefined } as const;
  const { secrets } = renderPlane({ record: whole, spec, addresses, storage, bundle });
  for (const secret of secrets) store.put(`secrets/${secret.metadata.name}`, secret);
  store.put(recordPath, toConfigMap(whole));
}
