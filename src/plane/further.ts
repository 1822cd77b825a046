import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { PlaneComponent } from './components/component.ts';
import { components } from './components/table.ts';
import { labelsOf } from './names.ts';

/** Objects of kinds that single components have, but for services and the ingress. Pure. */
export function buildFurther(planeId: string, spec: ClusterSpec): KubeObject[] {
  return components.flatMap(({ name, objects }: PlaneComponent) =>
    (objects?.(planeId, spec) ?? []).map((object) => ({
      ...object,
      metadata: { ...object.metadata, labels: labelsOf(planeId, name, spec.kubernetesVersion) },
    })),
  );
}
