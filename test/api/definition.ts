import type { KubeObject } from '../../src/kube/objects.ts';

/** A schema that takes everything. */
const loose = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** A kind that not every cluster serves, as the API server of a test may take it. @param spec schema of its spec */
export function definition(
  group: string,
  version: string,
  kind: string,
  plural: string,
  spec: object = loose,
): KubeObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: 'object', properties: { spec, status: loose } } },
        },
      ],
    },
  } as KubeObject;
}
