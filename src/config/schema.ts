import * as z from 'zod';
import { authenticationConfiguration, authorizationConfiguration } from './api-server-files.ts';
import {
  argument,
  cidr,
  etcdStorage,
  everyKey,
  hostAndPort,
  hostName,
  hostNameOrAddress,
  httpsUrl,
  image,
  ipv4Address,
  issuerUrl,
  labelValue,
  metadata,
  nodePort,
  numberOrPlatform,
  objectName,
  opening,
  port,
  resources,
  toleration,
  version,
} from './values.ts';
import { knownMinors, newest, upstreamRegistries } from './versions.ts';

/** The command line option of a field of the spec. */
export interface FlagMeta {
  /** Without the dashes; an option that begins with `no-` sets the field to false. */
  flag: string;
  short?: string;
  /** Placeholder of the value; absent for a flag without a value. */
  arg?: string;
  help: string;
  /** The heading in the help. */
  group:
    | 'Address'
    | 'Hosted cluster'
    | 'Identity'
    | 'Pods of the plane'
    | 'Worker pods'
    | 'Arguments of components'
    | 'Keys'
    | 'Images';
  /** It may be repeated. */
  list?: boolean;
  /** Each value is KEY=VALUE. */
  map?: boolean;
  /** The value names a file, whose content becomes the field; of a kubeconfig, which has keys, a name that follows from its content. */
  file?: 'yaml' | 'text' | 'kubeconfig';
}

const flag = (meta: FlagMeta) => ({ ...meta });

const imageOf = (name: string, program: string) =>
  image.optional().meta(flag({ group: 'Images', flag: `${name}-image`, arg: 'IMAGE', help: `image of ${program}` }));

const args = (component: string, name: string) =>
  z
    .array(argument)
    .default([])
    .meta(
      flag({
        group: 'Arguments of components',
        flag: `${name}-arg`,
        arg: 'NAME=VALUE',
        help: `one more flag for ${component}`,
        list: true,
      }),
    );

/** Odd numbers: an even number tolerates no more lost members than the odd number below it. More than 5 would only be slower. */
const memberCounts = [1, 3, 5];
export const maximumMembers = Math.max(...memberCounts);

/**
 * The spec of a hosted cluster in one schema, from which the command line's options, cluster.yaml and the record are made.
 * values.ts says what one value may be, rules.ts which values fit together.
 */
export const clusterSpec = z.strictObject({
  host: hostName.meta(
    flag({
      group: 'Address',
      flag: 'host',
      short: 'h',
      arg: 'HOST',
      help: 'name (or, with --expose nodeport, IPv4 address) at which workers and kubectl reach the API server',
    }),
  ),
  port: port.optional().meta(
    flag({
      group: 'Address',
      flag: 'port',
      short: 'p',
      arg: 'PORT',
      help: 'port at HOST; default 443, with --expose nodeport the node port',
    }),
  ),
  kubernetesVersion: version.default(newest.patch).meta(
    flag({
      group: 'Hosted cluster',
      flag: 'kubernetes-version',
      arg: 'VERSION',
      help: `${knownMinors.map((known) => known.minor).join(', ')} or a full version`,
    }),
  ),
  profile: z
    .enum(['default', 'lite'])
    .default('default')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'profile',
        arg: 'NAME',
        help: 'default, or lite: less memory and processor time when idle, slower with many reads',
      }),
    ),
  allowUntestedVersion: z
    .boolean()
    .default(false)
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'allow-untested-version',
        help: 'allow a version that was not tested with k8sk8s, alphas included',
      }),
    ),
  expose: z
    .enum(['ingress', 'nodeport'])
    .default('ingress')
    .meta(
      flag({
        group: 'Address',
        flag: 'expose',
        arg: 'HOW',
        help: 'ingress (TLS passthrough by host name) or nodeport',
      }),
    ),
  ingressClass: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'ingress-class',
        arg: 'NAME',
        help: "IngressClass to use instead of the infra cluster's default",
      }),
    ),
  ingressAnnotations: z
    .record(z.string(), z.string())
    .default({})
    .meta(
      flag({
        group: 'Address',
        flag: 'ingress-annotation',
        arg: 'KEY=VALUE',
        help: 'annotation for the ingress, for example the one that switches TLS passthrough on',
        map: true,
      }),
    ),
  nodePort: nodePort.optional().meta(
    flag({
      group: 'Address',
      flag: 'node-port',
      arg: 'PORT',
      help: 'number of the node port; by default the infra cluster allocates one',
    }),
  ),
  allocateNodePorts: z
    .boolean()
    .default(true)
    .meta(
      flag({
        group: 'Address',
        flag: 'no-allocate-node-ports',
        help: 'take no node port, where the namespace may have none; needs --in-cluster loadbalancer, or loopback with --worker-endpoint',
      }),
    ),
  ipFamilies: z
    .enum(['IPv4'])
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'ip-families',
        arg: 'IPv4',
        help: "ask for IPv4 addresses for the plane's services, where the infra cluster gives IPv6 ones first",
      }),
    ),
  policyTypes: z
    .enum(['Ingress', 'Ingress,Egress'])
    .default('Ingress')
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'policy-types',
        arg: 'Ingress|Ingress,Egress',
        help: "what the plane's NetworkPolicies rule: who reaches its pods, or also what its pods reach; the second is needed where the namespace denies egress",
      }),
    ),
  workerEndpoint: httpsUrl.optional().meta(
    flag({
      group: 'Address',
      flag: 'worker-endpoint',
      arg: 'URL',
      help: 'where workers reach the API server; default https://HOST:PORT',
    }),
  ),
  inCluster: z
    .enum(['node', 'loadbalancer', 'loopback'])
    .default('node')
    .meta(
      flag({
        group: 'Address',
        flag: 'in-cluster',
        arg: 'HOW',
        help: "how pods on the workers reach the API at the first service address: node (an infra node's address and the node port), loadbalancer (the address of a LoadBalancer service) or loopback (an address and a relay on each worker)",
      }),
    ),
  serviceAnnotations: metadata(z.string())
    .default({})
    .meta(
      flag({
        group: 'Address',
        flag: 'service-annotation',
        arg: 'KEY=VALUE',
        help: "annotation for the API server's Service, for example one that a load balancer reads",
        map: true,
      }),
    ),
  loadBalancerClass: z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/, 'is not the name of a class')
    .optional()
    .meta(
      flag({
        group: 'Address',
        flag: 'load-balancer-class',
        arg: 'NAME',
        help: "class of the LoadBalancer service with --in-cluster loadbalancer instead of the infra cluster's default",
      }),
    ),
  loopbackAddress: ipv4Address.default('10.199.199.199').meta(
    flag({
      group: 'Address',
      flag: 'loopback-address',
      arg: 'IP',
      help: "the relay's address with --in-cluster loopback",
    }),
  ),
  egress: z
    .enum(['kubelet', 'konnectivity', 'none'])
    .default('kubelet')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'egress',
        arg: 'HOW',
        help: "how the API server reaches pods (webhooks, aggregated APIs, service and pod proxy): kubelet (through the kubelets' port-forward), konnectivity (through agents on the workers) or none (only pods with hostNetwork)",
      }),
    ),
  konnectivityEndpoint: hostAndPort.optional().meta(
    flag({
      group: 'Hosted cluster',
      flag: 'konnectivity-endpoint',
      arg: 'HOST:PORT',
      help: 'where the agents of --egress konnectivity reach its server; default HOST and a node port',
    }),
  ),
  allowEgress: z
    .array(opening)
    .default([])
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'allow-egress',
        arg: 'TARGET',
        help: 'CIDR, HOST or HOST:PORT in a private network that the API server may call by URL: webhooks, CRD conversion, audit and tokens. What is on the Internet needs no option',
        list: true,
      }),
    ),
  sans: z
    .array(hostNameOrAddress)
    .default([])
    .meta(
      flag({
        group: 'Address',
        flag: 'san',
        arg: 'NAME',
        help: 'one more name or address for the API server certificate',
        list: true,
      }),
    ),
  keyType: z
    .enum(['ec', 'rsa'])
    .default('ec')
    .meta(flag({ group: 'Keys', flag: 'key-type', arg: 'TYPE', help: 'ec (P-256) or rsa (2048 bits)' })),
  serviceCidr: cidr(12, 28)
    .default('10.3.0.0/16')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'service-cidr',
        arg: 'CIDR',
        help: "the hosted cluster's service addresses",
      }),
    ),
  podCidr: cidr(8, 24)
    .default('10.2.0.0/16')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'pod-cidr',
        arg: 'CIDR',
        help: "the hosted cluster's pod addresses, a /24 of it for each worker",
      }),
    ),
  dnsDomain: hostName
    .default('cluster.local')
    .meta(
      flag({ group: 'Hosted cluster', flag: 'dns-domain', arg: 'DOMAIN', help: "the hosted cluster's DNS domain" }),
    ),
  network: z
    .enum(['flannel', 'none'])
    .default('flannel')
    .meta(
      flag({ group: 'Hosted cluster', flag: 'network', arg: 'DRIVER', help: 'flannel, or none to bring your own' }),
    ),
  childAssets: z
    .boolean()
    .default(true)
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'no-child-assets',
        help: 'leave kube-proxy, the network driver and kube-dns out of the hosted cluster',
      }),
    ),
  featureGates: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*$/), z.enum(['true', 'false'], { error: 'has to be true or false' }))
    .default({})
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'feature-gates',
        arg: 'GATE=BOOL',
        help: 'feature gates of all Kubernetes components, comma-separated or repeated',
        map: true,
      }),
    ),
  apiServerArgs: args('kube-apiserver', 'api-server'),
  controllerManagerArgs: args('kube-controller-manager', 'controller-manager'),
  schedulerArgs: args('kube-scheduler', 'scheduler'),
  etcdArgs: args('etcd', 'etcd'),
  auditPolicy: z
    .looseObject({ kind: z.literal('Policy', { error: 'has to be an audit.k8s.io/v1 Policy' }) })
    .optional()
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'audit-policy',
        arg: 'FILE',
        help: 'an audit.k8s.io/v1 Policy instead of the default one, which logs who did what, without bodies',
        file: 'yaml',
      }),
    ),
  audit: z
    .boolean()
    .default(true)
    .meta(
      flag({ group: 'Hosted cluster', flag: 'no-audit', help: 'write no audit log (k8sk8s logs --audit shows it)' }),
    ),
  authenticationConfig: authenticationConfiguration.optional().meta(
    flag({
      group: 'Identity',
      flag: 'authentication-config',
      arg: 'FILE',
      help: 'an apiserver.config.k8s.io/v1 AuthenticationConfiguration with the issuers (jwt) whose tokens count',
      file: 'yaml',
    }),
  ),
  authorizationConfig: authorizationConfiguration.optional().meta(
    flag({
      group: 'Identity',
      flag: 'authorization-config',
      arg: 'FILE',
      help: 'an apiserver.config.k8s.io/v1 AuthorizationConfiguration, with Node, RBAC and webhooks; default: Node and RBAC',
      file: 'yaml',
    }),
  ),
  authorizationWebhook: objectName('Secret')
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'authorization-webhook',
        arg: 'KUBECONFIG',
        help: 'kubeconfig by which a webhook is asked what RBAC does not allow; in cluster.yaml the Secret of the namespace that has it, as kubeconfig',
        file: 'kubeconfig',
      }),
    ),
  oidcIssuer: issuerUrl.optional().meta(
    flag({
      group: 'Identity',
      flag: 'oidc-issuer',
      arg: 'URL',
      help: 'OpenID Connect provider whose ID tokens count, the short way to --authentication-config',
    }),
  ),
  oidcClientId: z
    .string()
    .min(1, 'is empty')
    .optional()
    .meta(
      flag({ group: 'Identity', flag: 'oidc-client-id', arg: 'ID', help: 'the audience that its tokens have to name' }),
    ),
  oidcUsernameClaim: z
    .string()
    .min(1, 'is empty')
    .default('sub')
    .meta(flag({ group: 'Identity', flag: 'oidc-username-claim', arg: 'CLAIM', help: 'claim with the user name' })),
  oidcUsernamePrefix: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-username-prefix',
        arg: 'PREFIX',
        help: 'what stands before the user name; - for nothing (default: oidc:)',
      }),
    ),
  oidcGroupsClaim: z
    .string()
    .min(1, 'is empty')
    .default('groups')
    .meta(flag({ group: 'Identity', flag: 'oidc-groups-claim', arg: 'CLAIM', help: 'claim with the groups' })),
  oidcGroupsPrefix: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-groups-prefix',
        arg: 'PREFIX',
        help: 'what stands before each group; - for nothing (default: oidc:)',
      }),
    ),
  oidcRequiredClaims: z
    .record(z.string(), z.string())
    .default({})
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-required-claim',
        arg: 'CLAIM=VALUE',
        help: 'what a token has to say as well',
        map: true,
      }),
    ),
  oidcCa: z
    .string()
    .regex(/-----BEGIN CERTIFICATE-----/, 'has no certificate in PEM')
    .meta({ maxLength: 65_536 })
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-ca-file',
        arg: 'FILE',
        help: "CA of the provider, as PEM; default: the CAs in the API server's image",
        file: 'text',
      }),
    ),
  allowSystemNames: z
    .array(z.string().regex(/^system:./, 'has to begin with system:'))
    .default([])
    .meta(
      flag({
        group: 'Identity',
        flag: 'allow-system-name',
        arg: 'NAME',
        help: 'a user or group whose name begins with system: that tokens of outside issuers may carry all the same',
        list: true,
      }),
    ),
  resources: z
    .array(resources)
    .default(['small'])
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'resources',
        arg: 'PRESET|COMPONENT=…',
        help: 'small (requests, and a memory limit of the API server), limits (requests and limits) or none; or COMPONENT=cpu=100m,memory=256Mi',
        list: true,
      }),
    ),
  nodeSelector: z
    .record(z.string(), labelValue)
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'node-selector',
        arg: 'KEY=VALUE',
        help: 'infra nodes that may run the plane',
        map: true,
      }),
    ),
  tolerations: z
    .array(toleration)
    .default([])
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'tolerations',
        arg: 'KEY[=VALUE][:EFFECT]',
        help: 'taints of infra nodes that the plane tolerates',
        list: true,
      }),
    ),
  podLabels: metadata(labelValue)
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'pod-label',
        arg: 'KEY=VALUE',
        help: "one more label of the plane's pods, for example one that a policy of the infra cluster wants",
        map: true,
      }),
    ),
  podAnnotations: metadata(z.string())
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'pod-annotation',
        arg: 'KEY=VALUE',
        help: "one more annotation of the plane's pods, for example one that keeps sidecars away",
        map: true,
      }),
    ),
  priorityClassName: objectName('PriorityClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'priority-class-name',
        arg: 'NAME',
        help: "PriorityClass of the plane's pods",
      }),
    ),
  runtimeClassName: objectName('RuntimeClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'runtime-class-name',
        arg: 'NAME',
        help: "RuntimeClass of the plane's pods",
      }),
    ),
  serviceAccountName: objectName('ServiceAccount')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'service-account-name',
        arg: 'NAME',
        help: "ServiceAccount of the plane's pods, of which they get no token; default: the namespace's default",
      }),
    ),
  runAsUser: numberOrPlatform.optional().meta(
    flag({
      group: 'Pods of the plane',
      flag: 'run-as-user',
      arg: 'NUMBER|platform',
      help: "user and group that the plane's pods run as, default 65532; platform leaves them to the infra cluster, as OpenShift wants it",
    }),
  ),
  fsGroup: numberOrPlatform.optional().meta(
    flag({
      group: 'Pods of the plane',
      flag: 'fs-group',
      arg: 'NUMBER|platform',
      help: "group of the pods' volumes; default as --run-as-user",
    }),
  ),
  workerPods: z.coerce
    .number()
    .int()
    .min(0, 'has to be 0 to 100')
    .max(100, 'has to be 0 to 100')
    .default(0)
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-pods',
        arg: 'N',
        help: 'workers as privileged pods of the infra cluster; who administers the hosted cluster is root on their infra nodes then',
      }),
    ),
  workerImage: image.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-image',
      arg: 'IMAGE',
      help: 'image of the worker pods, as Dockerfile.worker makes it',
    }),
  ),
  replicas: z.coerce
    .number()
    .int()
    .min(1, 'has to be 1 to 5')
    .max(5, 'has to be 1 to 5')
    .default(1)
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'replicas',
        arg: 'N',
        help: 'API servers, controller-managers and schedulers, each on an infra node of its own if there are enough nodes',
      }),
    ),
  etcdMembers: z.coerce
    .number()
    .refine((count) => memberCounts.includes(count), 'has to be 1, 3 or 5')
    .meta({ type: 'integer', enum: memberCounts })
    .default(1)
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'etcd-members',
        arg: '1|3|5',
        help: 'etcd members: 3 tolerate the loss of one, 5 of two',
      }),
    ),
  etcdStorage: etcdStorage.default('auto').meta(
    flag({
      group: 'Pods of the plane',
      flag: 'etcd-storage',
      arg: 'auto|ephemeral|SIZE',
      help: "a volume of SIZE such as 10Gi for each etcd member, ephemeral (in etcd's pod), or auto: what the plane has; a new plane gets a volume if the infra cluster has a default StorageClass",
    }),
  ),
  etcdStorageClass: objectName('StorageClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'etcd-storage-class',
        arg: 'NAME',
        help: "StorageClass of etcd's volumes instead of the infra cluster's default",
      }),
    ),
  etcdImage: imageOf('etcd', 'etcd'),
  apiServerImage: imageOf('api-server', 'kube-apiserver'),
  controllerManagerImage: imageOf('controller-manager', 'kube-controller-manager'),
  schedulerImage: imageOf('scheduler', 'kube-scheduler'),
  kubeProxyImage: imageOf('kube-proxy', 'kube-proxy'),
  flannelImage: imageOf('flannel', 'flannel'),
  flannelCniImage: imageOf('flannel-cni', "flannel's CNI plugin"),
  corednsImage: imageOf('coredns', 'CoreDNS'),
  nodeImage: imageOf(
    'node',
    'Node.js, for the kubelet serving certificate approver and the gate beside the API server',
  ),
  konnectivityServerImage: imageOf('konnectivity-server', "konnectivity's proxy-server"),
  konnectivityAgentImage: imageOf('konnectivity-agent', "konnectivity's proxy-agent"),
  imageRegistry: image.optional().meta(
    flag({
      group: 'Images',
      flag: 'image-registry',
      arg: 'HOST[/PATH]',
      help: 'registry that mirrors all images of all upstream registries, each under its path there; --registry-mirror wins',
    }),
  ),
  registryMirrors: z
    .record(z.string(), image)
    .superRefine((mirrors, context) => {
      for (const registry of Object.keys(mirrors))
        if (!upstreamRegistries.includes(registry))
          context.addIssue({
            code: 'custom',
            message: `names a registry of none of the images, which are ${upstreamRegistries.join(', ')}`,
            path: [registry],
          });
    })
    .meta(
      everyKey(
        `key in [${upstreamRegistries.map((registry) => `'${registry}'`).join(', ')}]`,
        `names a registry of none of the images, which are ${upstreamRegistries.join(', ')}`,
      ),
    )
    .default({})
    .meta(
      flag({
        group: 'Images',
        flag: 'registry-mirror',
        arg: 'REGISTRY=HOST[/PATH]',
        help: 'mirror of one upstream registry (registry.k8s.io, docker.io or ghcr.io), under which its images have the same path',
        map: true,
      }),
    ),
  seal: z
    .enum(['none', 'passphrase-file', 'key-file'])
    .default('none')
    .meta(
      flag({
        group: 'Keys',
        flag: 'seal',
        arg: 'KIND',
        help: "seal the key of the plane's CA with the file of --seal-file: passphrase-file, key-file (age) or none",
      }),
    ),
  imagePullSecret: objectName('Secret')
    .optional()
    .meta(
      flag({
        group: 'Images',
        flag: 'image-pull-secret',
        arg: 'SECRET',
        help: 'Secret of the namespace with registry credentials, for the plane and, by a copy in kube-system of the hosted cluster, for kube-proxy, flannel, CoreDNS and the approver',
      }),
    ),
});

/** A complete, valid spec of a hosted cluster. */
export type ClusterSpec = z.infer<typeof clusterSpec>;
/** What a person gave: absent fields get their recorded value or their default. */
export type ClusterSpecInput = z.input<typeof clusterSpec>;
