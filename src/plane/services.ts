import type { ClusterSpec } from '../config/schema.ts';
import type { Service } from '../kube/objects.ts';
import type { PlaneComponent, ServiceMoment } from './components/component.ts';
import { components } from './components/table.ts';
import { labelsOf } from './names.ts';

/**
 * The services, which the infra cluster gives their addresses. Pure.
 *
 * @param moment what is left out is as it is of a plane at rest
 */
export function buildServices(planeId: string, spec: ClusterSpec, moment: Partial<ServiceMoment> = {}): Service[] {
  const { members = spec.etcdMembers, starting = false, earlierNodePort, keptBalancer } = moment;
  return components.flatMap(({ name, services }: PlaneComponent) =>
    (services?.(planeId, spec, { members, starting, earlierNodePort, keptBalancer }) ?? []).map((service) => ({
      ...service,
      metadata: { ...service.metadata, labels: labelsOf(planeId, name, spec.kubernetesVersion) },
    })),
  );
}
