/** Where the API server serves each kind that k8sk8s handles. A table, so that no discovery is needed before the first call. */
export interface Resource {
  /** `v1`, `apps/v1`, … */
  apiVersion: string;
  kind: string;
  /** Plural resource name, as in RBAC rules. */
  plural: string;
  namespaced: boolean;
}

const rows: [apiVersion: string, namespaced: boolean, kinds: Record<string, string>][] = [
  [
    'v1',
    true,
    {
      ConfigMap: 'configmaps',
      Event: 'events',
      LimitRange: 'limitranges',
      PersistentVolumeClaim: 'persistentvolumeclaims',
      Pod: 'pods',
      ResourceQuota: 'resourcequotas',
      Secret: 'secrets',
      Service: 'services',
      ServiceAccount: 'serviceaccounts',
      Endpoints: 'endpoints',
    },
  ],
  ['v1', false, { Namespace: 'namespaces', Node: 'nodes' }],
  ['apiextensions.k8s.io/v1', false, { CustomResourceDefinition: 'customresourcedefinitions' }],
  [
    'admissionregistration.k8s.io/v1',
    false,
    {
      ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
      ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
    },
  ],
  ['k8sk8s.io/v1alpha1', true, { HostedControlPlane: 'hostedcontrolplanes' }],
  [
    'apps/v1',
    true,
    { DaemonSet: 'daemonsets', Deployment: 'deployments', ReplicaSet: 'replicasets', StatefulSet: 'statefulsets' },
  ],
  ['batch/v1', true, { CronJob: 'cronjobs', Job: 'jobs' }],
  ['gateway.networking.k8s.io/v1', true, { Gateway: 'gateways', TLSRoute: 'tlsroutes' }],
  ['gateway.networking.k8s.io/v1alpha3', true, { TLSRoute: 'tlsroutes' }],
  ['gateway.networking.k8s.io/v1alpha2', true, { TLSRoute: 'tlsroutes' }],
  ['traefik.io/v1alpha1', true, { IngressRouteTCP: 'ingressroutetcps' }],
  ['route.openshift.io/v1', true, { Route: 'routes' }],
  ['networking.k8s.io/v1', true, { Ingress: 'ingresses', NetworkPolicy: 'networkpolicies' }],
  ['networking.k8s.io/v1', false, { IngressClass: 'ingressclasses', IPAddress: 'ipaddresses' }],
  ['policy/v1', true, { PodDisruptionBudget: 'poddisruptionbudgets' }],
  ['coordination.k8s.io/v1', true, { Lease: 'leases' }],
  ['discovery.k8s.io/v1', true, { EndpointSlice: 'endpointslices' }],
  ['rbac.authorization.k8s.io/v1', true, { Role: 'roles', RoleBinding: 'rolebindings' }],
  ['rbac.authorization.k8s.io/v1', false, { ClusterRole: 'clusterroles', ClusterRoleBinding: 'clusterrolebindings' }],
  ['certificates.k8s.io/v1', false, { CertificateSigningRequest: 'certificatesigningrequests' }],
  ['flowcontrol.apiserver.k8s.io/v1', false, { FlowSchema: 'flowschemas' }],
  [
    'admissionregistration.k8s.io/v1',
    false,
    {
      MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
      ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
    },
  ],
  ['apiregistration.k8s.io/v1', false, { APIService: 'apiservices' }],
  [
    'authorization.k8s.io/v1',
    false,
    { SelfSubjectAccessReview: 'selfsubjectaccessreviews', SelfSubjectRulesReview: 'selfsubjectrulesreviews' },
  ],
];

const byKind = new Map<string, Resource>(
  rows.flatMap(([apiVersion, namespaced, kinds]) =>
    Object.entries(kinds).map(([kind, plural]): [string, Resource] => [
      `${apiVersion}/${kind}`,
      { apiVersion, kind, plural, namespaced },
    ]),
  ),
);

/** The table's row for `apiVersion` and `kind`; undefined of a kind that only somebody else's objects have. */
export function knownResource({ apiVersion, kind }: { apiVersion: string; kind: string }): Resource | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}

/** The same, where a missing row is a bug of k8sk8s, not of its user. */
export function resourceOf(object: { apiVersion: string; kind: string }): Resource {
  const found = knownResource(object);
  if (!found) throw new Error(`no resource known for ${object.apiVersion} ${object.kind}`);
  return found;
}

/**
 * Groups that not every cluster serves, each with the versions in which its kinds are known here, the best one first. (Every cluster
 * serves the others.)
 */
const extensions: Record<string, string[]> = {
  'gateway.networking.k8s.io': ['v1', 'v1alpha3', 'v1alpha2'],
  'traefik.io': ['v1alpha1'],
  'route.openshift.io': ['v1'],
};

/** The versions in which a kind may be served, where a cluster may do without it; undefined of all other kinds. */
export function versionsOfExtension(kind: { apiVersion: string; kind: string }): string[] | undefined {
  const group = groupOf(kind);
  return extensions[group]
    ?.map((version) => `${group}/${version}`)
    .filter((apiVersion) => byKind.has(`${apiVersion}/${kind.kind}`));
}

/** The API group of a kind, as in RBAC rules: empty for the core group. */
export function groupOf({ apiVersion }: { apiVersion: string }): string {
  return apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
}

/** The request path of a collection or, with `name`, of one object. */
export function pathOf(resource: Resource, namespace?: string, name?: string): string {
  const root = resource.apiVersion.includes('/') ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}
