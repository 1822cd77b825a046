import {
  hostedControlPlane,
  hostedControlPlaneName,
  hostedControlPlaneSpec,
  lifeFields,
} from '../../config/hosted-control-plane.ts';
import { rulesBetweenFields, rulesOfChange } from '../../config/rules-in-cel.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { componentNames } from '../../plane/components/lookup.ts';
import { type Structural, structural } from './structural.ts';

const [group, version] = hostedControlPlane.apiVersion.split('/') as [string, string];
const plural = 'hostedcontrolplanes';

/** An apiextensions.k8s.io/v1 CustomResourceDefinition, as far as it is made here. */
interface CustomResourceDefinition extends KubeObject {
  spec: Record<string, unknown>;
}

/** The definition of HostedControlPlane: everything in it that is about the spec of a plane comes from the schema of the spec. */
export function customResourceDefinition(): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'k8sk8s' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: hostedControlPlane.kind,
        listKind: `${hostedControlPlane.kind}List`,
        plural,
        singular: 'hostedcontrolplane',
        shortNames: ['hcp'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          // A policy on the object itself does not see what goes by /scale: field-policy.ts has one of its own for it.
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
          },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: objectSchema() },
        },
      ],
    },
  };
}

const condition = (type: string) => `.status.conditions[?(@.type=="${type}")]`;

const columns = [
  { name: 'Host', type: 'string', jsonPath: '.spec.host' },
  { name: 'Version', type: 'string', jsonPath: '.status.version' },
  { name: 'Available', type: 'string', jsonPath: `${condition('Available')}.status` },
  { name: 'Progressing', type: 'string', jsonPath: `${condition('Progressing')}.reason` },
  { name: 'Degraded', type: 'string', jsonPath: `${condition('Degraded')}.status` },
  { name: 'Deletion', type: 'string', jsonPath: '.status.deletionPolicy' },
  { name: 'Server', type: 'string', jsonPath: '.status.server', priority: 1 },
  { name: 'Sleeps', type: 'string', jsonPath: '.status.sleepsAt', priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

function objectSchema(): Structural {
  const spec = structural(hostedControlPlaneSpec);
  return {
    description: 'A hosted Kubernetes control plane, which runs as pods in the namespace of this object.',
    type: 'object',
    required: ['spec'],
    properties: { spec: { ...spec, [rules]: [...rulesBetweenFields, resourcesOfComponents, usageOfSealed] }, status },
    [rules]: [
      {
        rule: `self.metadata.name == '${hostedControlPlaneName}'`,
        message: `a namespace has one plane, so the name has to be ${hostedControlPlaneName}`,
      },
      ...rulesOfChange,
    ],
  };
}

const rules = 'x-kubernetes-validations';

const resourcesOfComponents = {
  rule: `!has(self.resources) || self.resources.all(each, !each.contains('=') || each.split('=')[0] in [${componentNames.map((name) => `'${name}'`).join(', ')}])`,
  message: `resources names a component that there is not: there are ${componentNames.join(', ')}`,
};

const usageOfSealed = {
  rule: "!has(self.sleepAfter) || !has(self.seal) || self.seal == 'none'",
  message:
    'sleepAfter and seal contradict each other: without the key, k8sk8s acts as a person does and is counted as one',
};

const text = (description: string, maxLength = 256): Structural => ({ description, type: 'string', maxLength });

const time = (description: string): Structural => ({ description, type: 'string', format: 'date-time' });

const status: Structural = {
  description: 'What the operator has seen of the plane.',
  type: 'object',
  properties: {
    observedGeneration: {
      description: 'generation of the spec that was last brought about',
      type: 'integer',
      format: 'int64',
    },
    undoneGeneration: {
      description: 'generation of the spec that did not work on the plane; it is not tried again',
      type: 'integer',
      format: 'int64',
    },
    usedConsent: text('the consent that was used up last', 32),
    replicas: { description: 'API servers that the plane has', type: 'integer', format: 'int32' },
    deletionPolicy: {
      description: 'the deletionPolicy that is in force: what would become of the plane if the object was deleted now',
      type: 'string',
      enum: lifeFields.shape.deletionPolicy.unwrap().options,
    },
    planeId: text('identity of the plane, which all of its objects carry as app.kubernetes.io/instance'),
    version: text('Kubernetes version of the plane; what the spec does not say is pinned here at the first deploy'),
    server: text('where people reach the hosted API server', 512),
    workerServer: text('where workers reach the hosted API server', 512),
    lastUsed: time('when the plane was seen to be used last, where spec.sleepAfter asks for it'),
    sleepsAt: time('when the plane falls asleep if nobody uses it before'),
    unusedAt: time('when the plane was found unused for as long as spec.sleepAfter says'),
    usage: text('what the API servers had been asked when they were looked at last', 512),
    conditions: {
      type: 'array',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: text('Available, Progressing or Degraded'),
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
          lastTransitionTime: { type: 'string', format: 'date-time' },
          reason: text('one word; what docs/checks.md explains has the name of its heading', 1024),
          message: text('what happened, why, and what to do', 32768),
        },
      },
    },
  },
};
