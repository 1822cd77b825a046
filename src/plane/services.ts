import type { ClusterSpec } from '../config/schema.ts';
import type { Service } from '../kube/objects.ts';
import type { PlaneComponent } from './components/component.ts';
import { components } from './components/table.ts';
import { labelsOf } from './names.ts';

/**
 * The services, which the infra cluster gives their addresses. Pure.
 *
 * @param members as many etcd members as need an address: while their number changes, the larger one
 */
export function buildServices(planeId: string, spec: ClusterSpec, members = spec.etcdMembers): Service[] {
  return components.flatMap(({ name, services }: PlaneComponent) =>
    (services?.(planeId, spec, members) ?? []).map((service) => ({
      ...service,
      metadata: { ...service.metadata, labels: labelsOf(planeId, name, spec.kubernetesVersion) },
    })),
  );
}
