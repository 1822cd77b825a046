import { hostedControlPlane, hostedControlPlaneSpec } from '../config/hosted-control-plane.ts';
import type { KubeObject } from '../kube/objects.ts';
import { hostsAnnotation } from '../plane/names.ts';
import { backupFinalizer, operatorName } from './names.ts';

type Field = keyof typeof hostedControlPlaneSpec.shape;

/**
 * What somebody may choose who has a plane by its object alone. Every other field is an administrator's, a new one too: images and
 * arguments run code, placement and sizes take what belongs to all, and the rest reaches out of the namespace.
 */
const tenantFields: Field[] = [
  'host',
  'port',
  'kubernetesVersion',
  'profile',
  'expose',
  'moreHosts',
  'workerEndpoint',
  'inCluster',
  'loopbackAddress',
  'egress',
  'sans',
  'keyType',
  'serviceCidr',
  'podCidr',
  'dnsDomain',
  'network',
  'flannelBackend',
  'flannelMtu',
  'flannelPort',
  'flannelInterface',
  'childAssets',
  'auditPolicy',
  'audit',
  'asleep',
  'sleepSchedule',
  'sleepAfter',
  // What it names is an administrator's, by its label.
  'backup',
  'expiresAt',
  'paused',
  'deletionPolicy',
];

/** The fields that need a right of their own. */
const administratorFields = (Object.keys(hostedControlPlaneSpec.shape) as Field[]).filter(
  (field) => !tenantFields.includes(field),
);

/** Annotation that lets the definition of HostedControlPlane be deleted. */
export const deletableAnnotation = 'k8sk8s.io/delete-all-planes';

const admission = 'admissionregistration.k8s.io/v1';
const [group, version] = hostedControlPlane.apiVersion.split('/');

/**
 * Policies that the infra cluster's API server keeps: who sets, changes or takes out an administrator's field needs the verb `set` on
 * `hostedcontrolplanes/fields` with the field's name; and the definition, with which every plane would go, is deleted by nobody in
 * passing. Pure.
 */
export function policies(labels: Record<string, string>, namespace: string): KubeObject[] {
  return [
    ...policy('k8sk8s-fields', labels, ofFields),
    ...policy('k8sk8s-scale', labels, ofScale),
    ...policy('k8sk8s-operator', labels, ofOperator(namespace)),
    ...policy('k8sk8s-deletion', labels, ofDeletion),
    ...policy('k8sk8s-definition', labels, ofDefinition),
  ];
}

const on = (operations: string[], resources: string[]) => ({
  resourceRules: [{ apiGroups: [group], apiVersions: [version], operations, resources }],
});

/** The operator's own, and those of the two ways of deletion by the API server. */
const usualFinalizers = [backupFinalizer, 'orphan', 'foregroundDeletion'];

const ofFields = {
  matchConstraints: on(['CREATE', 'UPDATE'], ['hostedcontrolplanes']),
  validations: [
    ...administratorFields.map((field) => ({
      expression: `${unchanged(field)} || ${mayset(field)}`,
      message: needsRight(field),
      reason: 'Forbidden',
    })),
    {
      expression: `${unchanged('host')} || ${belongs('object.spec.host')} || ${mayset('host')}`,
      message: notOfNamespace('host'),
      reason: 'Forbidden',
    },
    {
      expression: `${unchanged('moreHosts')} || !has(object.spec.moreHosts) || object.spec.moreHosts.all(host, ${belongs('host')}) || ${mayset('moreHosts')}`,
      message: notOfNamespace('moreHosts'),
      reason: 'Forbidden',
    },
    {
      expression: `object.metadata.?finalizers.orValue([]).all(name, name in ${JSON.stringify(usualFinalizers)} || (oldObject != null && name in oldObject.metadata.?finalizers.orValue([]))) || ${mayset('finalizers')}`,
      message: `a finalizer keeps the object, and its namespace, from being deleted: it needs the verb set on hostedcontrolplanes/fields, name finalizers`,
      reason: 'Forbidden',
    },
  ],
};

/** What goes by /scale passes the policy above. */
const ofScale = {
  matchConstraints: on(['UPDATE'], ['hostedcontrolplanes/scale']),
  validations: [{ expression: mayset('replicas'), message: needsRight('replicas'), reason: 'Forbidden' }],
};

/** RBAC knows no fields: the operator may patch objects for its finalizer. */
const ofOperator = (namespace: string) => ({
  matchConstraints: on(['UPDATE'], ['hostedcontrolplanes']),
  matchConditions: [
    {
      name: 'is-operator',
      expression: `request.userInfo.username == 'system:serviceaccount:${namespace}:${operatorName}'`,
    },
  ],
  validations: [
    {
      expression: `object.spec == oldObject.spec && ${['labels', 'annotations', 'ownerReferences'].map(sameMetadata).join(' && ')} && ${otherFinalizers('object')} == ${otherFinalizers('oldObject')}`,
      message: `the operator changes nothing of an object but the finalizer ${backupFinalizer}`,
      reason: 'Forbidden',
    },
  ],
});

const ofDefinition = {
  matchConstraints: {
    resourceRules: [
      {
        apiGroups: ['apiextensions.k8s.io'],
        apiVersions: ['v1'],
        operations: ['DELETE'],
        resources: ['customresourcedefinitions'],
      },
    ],
  },
  // Not resourceNames above: a request that deletes a collection has no name.
  matchConditions: [{ name: 'is-ours', expression: `oldObject.metadata.name == 'hostedcontrolplanes.${group}'` }],
  validations: [
    {
      expression: `has(oldObject.metadata.annotations) && '${deletableAnnotation}' in oldObject.metadata.annotations`,
      message: `with this definition every HostedControlPlane is deleted, and its plane; annotate it with ${deletableAnnotation} first`,
      reason: 'Forbidden',
    },
  ],
};

/**
 * Whoever asks for Retain or Backup and deletes the object a moment later would lose what they asked for: owners and finalizers are the
 * operator's work, and the garbage collector is faster. A finalizer instead would hold the object where no operator is left.
 */
const ofDeletion = {
  matchConstraints: on(['DELETE'], ['hostedcontrolplanes']),
  // What cannot be judged may go.
  failurePolicy: 'Ignore',
  validations: [
    {
      expression: [
        `oldObject.spec.?deletionPolicy.orValue('Delete') == 'Delete'`,
        // Where the status says nothing, nothing goes along.
        `oldObject.?status.deletionPolicy.orValue(oldObject.spec.deletionPolicy) == oldObject.spec.deletionPolicy`,
        // All of it goes, or it is going already.
        'has(namespaceObject.metadata.deletionTimestamp)',
        'has(oldObject.metadata.deletionTimestamp)',
        // Nothing of the plane goes along.
        `request.?options.propagationPolicy.orValue('') == 'Orphan'`,
      ].join(' || '),
      message: `spec.deletionPolicy is not in force yet: status.deletionPolicy says what is, and the plane would go by that. Wait for the operator, or set spec.deletionPolicy to Delete`,
      reason: 'Forbidden',
    },
  ],
};

function sameMetadata(field: string): string {
  return `object.metadata.?${field} == oldObject.metadata.?${field}`;
}

function otherFinalizers(of: string): string {
  return `${of}.metadata.?finalizers.orValue([]).filter(name, name != '${backupFinalizer}')`;
}

/** Whether the namespace's annotation names HOST, or `*.DOMAIN` above it, as in templates/rights/hosts.yaml. An address is nobody's. */
function belongs(host: string): string {
  const names = `namespaceObject.metadata.?annotations[?'${hostsAnnotation}'].orValue('').split(',').map(name, name.trim())`;
  return `(isIP(${host}) || ${names}.exists(name, name == ${host} || (name.startsWith('*.') && ${host}.endsWith(name.substring(1)))))`;
}

function notOfNamespace(field: Field): string {
  return `spec.${field} does not belong to this namespace: its annotation ${hostsAnnotation} names what does`;
}

/** A field that an update leaves as it was, present or absent. */
function unchanged(field: Field): string {
  const has = (of: string) => `has(${of}.spec.${field})`;
  const before = `(oldObject != null && ${has('oldObject')})`;
  return `(${has('object')} ? (${before} && oldObject.spec.${field} == object.spec.${field}) : !${before})`;
}

function needsRight(field: Field): string {
  return `spec.${field} is the administrator's: it needs the verb set on hostedcontrolplanes/fields, name ${field}`;
}

function mayset(field: Field | 'finalizers'): string {
  return `authorizer.group('${group}').resource('hostedcontrolplanes').subresource('fields').namespace(object.metadata.namespace).name('${field}').check('set').allowed()`;
}

function policy(name: string, labels: Record<string, string>, spec: object): KubeObject[] {
  return [
    {
      apiVersion: admission,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name, labels },
      spec: { failurePolicy: 'Fail', ...spec },
    } as KubeObject,
    {
      apiVersion: admission,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name, labels },
      spec: { policyName: name, validationActions: ['Deny'] },
    } as KubeObject,
  ];
}
