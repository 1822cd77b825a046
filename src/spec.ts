import * as z from 'zod';
import { isIp, isIpv4, nthAddress, overlaps, parseCidr } from './cidr.ts';
import { UserError } from './errors.ts';
import { parseQuantity } from './quantity.ts';
import { isTested, knownMinor, knownMinors, newest, otherImages, resolveVersion } from './versions.ts';

/**
 * What a hosted cluster is, in one schema: the command line's flags, cluster.yaml and the recorded state are all made
 * from it. `meta` says how a field is given on the command line: `flag` its name, `arg` its value's placeholder,
 * `list` that it may be repeated, `map` that each is KEY=VALUE, `file` that the value is a YAML file to read.
 */
export interface FlagMeta {
  flag: string;
  short?: string;
  arg?: string;
  help: string;
  list?: boolean;
  map?: boolean;
  file?: boolean;
}

const flag = (meta: FlagMeta) => ({ ...meta });

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function hostProblem(host: string): string | undefined {
  if (host === '') return 'is empty: give the name by which workers and kubectl will reach the API server';
  if (/\s/.test(host)) return 'contains a space';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(host))
    return `is a URL; give only the host name: ${URL.canParse(host) ? new URL(host).hostname : 'k.example.com'}`;
  if (host.includes('*')) return 'is a wildcard; give one name that this plane alone answers to';
  if (ipv6(host)) return 'is an IPv6 address; only names and IPv4 addresses are supported';
  if (host.includes(':')) return `names a port; give it with -p: -h ${host.split(':')[0]} -p ${host.split(':')[1]}`;
  if (host.includes('/')) return 'contains a slash; give only the host name';
  if (isIpv4(host)) return undefined;
  if (/^[\d.]+$/.test(host)) return 'is neither an IPv4 address nor a host name';
  if (host.endsWith('.')) return `ends with a dot, which certificates cannot carry; write ${host.replace(/\.+$/, '')}`;
  if (host.length > 253) return `is ${host.length} characters long; a host name has at most 253`;
  const bad = host.split('.').find((label) => !dnsLabel.test(label));
  if (bad !== undefined)
    return bad.length > 63
      ? `has a part of ${bad.length} characters; each has at most 63`
      : `has a part that no host name may have: "${bad}" (lower-case letters, digits and - inside)`;
  return undefined;
}

function ipv6(text: string): boolean {
  const bare = text.replace(/^\[|\]$/g, '');
  return bare.includes(':') && isIp(bare);
}

/** A string that a check of our own accepts; its words become the error. */
function checked(problem: (value: string) => string | undefined) {
  return z.string().superRefine((value, context) => {
    const message = problem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

const cidr = (minimumPrefix: number, maximumPrefix: number) =>
  checked((value) => {
    if (value.includes(':')) return 'is IPv6, which is not supported yet; give an IPv4 network such as 10.3.0.0/16';
    const parsed = parseCidr(value);
    if (!parsed) return 'is not a network in CIDR form such as 10.3.0.0/16';
    if (nthAddress(parsed, 0) !== value.split('/')[0])
      return `has host bits set; write ${nthAddress(parsed, 0)}/${parsed.prefix}`;
    if (parsed.prefix > maximumPrefix) return `is too small: at least a /${maximumPrefix} is needed`;
    if (parsed.prefix < minimumPrefix) return `is too large: at most a /${minimumPrefix}`;
    return undefined;
  });

const image = checked((value) =>
  /^[\w][\w.\-/:@]*$/.test(value) && !value.includes('//')
    ? undefined
    : 'is not an image reference such as registry.k8s.io/etcd:3.7.3-0',
);
const argument = checked((value) =>
  /^(--)?[a-z0-9][a-z0-9-]*=/.test(value)
    ? undefined
    : 'has to be NAME=VALUE, the name as the component spells it without the dashes',
);
const port = z.coerce.number().int().min(1, 'has to be 1 to 65535').max(65535, 'has to be 1 to 65535');
const version = checked((value) =>
  resolveVersion(value)
    ? undefined
    : `is not a version such as ${newest.patch}; known are ${knownMinors.map((known) => known.minor).join(', ')}`,
);
const args = (component: string, name: string) =>
  z
    .array(argument)
    .default([])
    .meta(flag({ flag: `${name}-arg`, arg: 'NAME=VALUE', help: `one more flag for ${component}`, list: true }));

const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

export const components = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type Component = (typeof components)[number];

/** More would only be slower: every member takes part in every write. */
export const maximumMembers = 5;

export const clusterSpec = z.strictObject({
  host: checked(hostProblem).meta(
    flag({
      flag: 'host',
      short: 'h',
      arg: 'HOST',
      help: 'name (or, with --expose nodeport, IPv4 address) at which workers and kubectl reach the API server',
    }),
  ),
  port: port.optional().meta(
    flag({
      flag: 'port',
      short: 'p',
      arg: 'PORT',
      help: 'port at HOST; default 443, with --expose nodeport the node port',
    }),
  ),
  kubernetesVersion: version.default(newest.patch).meta(
    flag({
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
        flag: 'profile',
        arg: 'NAME',
        help: 'default, or lite: less memory and processor time when idle, slower when there is much to read',
      }),
    ),
  allowUntestedVersion: z
    .boolean()
    .default(false)
    .meta(
      flag({ flag: 'allow-untested-version', help: 'take a version that k8sk8s was not tested with, alphas included' }),
    ),
  expose: z
    .enum(['ingress', 'nodeport'])
    .default('ingress')
    .meta(flag({ flag: 'expose', arg: 'HOW', help: 'ingress (TLS passthrough by host name) or nodeport' })),
  ingressClass: z
    .string()
    .optional()
    .meta(
      flag({ flag: 'ingress-class', arg: 'NAME', help: "IngressClass to use instead of the infra cluster's default" }),
    ),
  ingressAnnotations: z
    .record(z.string(), z.string())
    .default({})
    .meta(
      flag({
        flag: 'ingress-annotation',
        arg: 'KEY=VALUE',
        help: 'annotation for the ingress, such as the one that switches TLS passthrough on',
        map: true,
      }),
    ),
  nodePort: z.coerce
    .number()
    .int()
    .min(1024, 'has to be 1024 to 65535')
    .max(65535, 'has to be 1024 to 65535')
    .optional()
    .meta(
      flag({ flag: 'node-port', arg: 'PORT', help: 'fix the number of the node port, which is allocated otherwise' }),
    ),
  workerEndpoint: checked((value) =>
    /^https:\/\/[^/\s]+$/.test(value) && URL.canParse(value)
      ? undefined
      : 'has to be a URL such as https://10.0.0.7:6443',
  )
    .optional()
    .meta(
      flag({
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
        flag: 'in-cluster',
        arg: 'HOW',
        help: "how pods on the workers reach the API at the first service address: node (an infra node's address and the node port), loadbalancer (the address of a LoadBalancer service) or loopback (an address and a relay on each worker)",
      }),
    ),
  loopbackAddress: checked((value) => (isIpv4(value) ? undefined : 'is not an IPv4 address'))
    .default('10.199.199.199')
    .meta(flag({ flag: 'loopback-address', arg: 'IP', help: "the relay's address with --in-cluster loopback" })),
  egress: z
    .enum(['kubelet', 'konnectivity', 'none'])
    .default('kubelet')
    .meta(
      flag({
        flag: 'egress',
        arg: 'HOW',
        help: "how the API server reaches pods (webhooks, aggregated APIs, service and pod proxy): kubelet (through the kubelets' port-forward), konnectivity (through agents on the workers) or none (pods with hostNetwork alone)",
      }),
    ),
  konnectivityEndpoint: checked(konnectivityEndpointProblem)
    .optional()
    .meta(
      flag({
        flag: 'konnectivity-endpoint',
        arg: 'HOST:PORT',
        help: 'where the agents of --egress konnectivity reach its server; default HOST and a node port',
      }),
    ),
  sans: z
    .array(checked((value) => (isIp(value) ? undefined : hostProblem(value))))
    .default([])
    .meta(
      flag({ flag: 'san', arg: 'NAME', help: 'one more name or address for the API server certificate', list: true }),
    ),
  keyType: z
    .enum(['ec', 'rsa'])
    .default('ec')
    .meta(flag({ flag: 'key-type', arg: 'TYPE', help: 'ec (P-256) or rsa (2048 bits)' })),
  serviceCidr: cidr(12, 28)
    .default('10.3.0.0/16')
    .meta(flag({ flag: 'service-cidr', arg: 'CIDR', help: "the hosted cluster's service addresses" })),
  podCidr: cidr(8, 24)
    .default('10.2.0.0/16')
    .meta(
      flag({ flag: 'pod-cidr', arg: 'CIDR', help: "the hosted cluster's pod addresses, a /24 of it for each worker" }),
    ),
  dnsDomain: checked(hostProblem)
    .default('cluster.local')
    .meta(flag({ flag: 'dns-domain', arg: 'DOMAIN', help: "the hosted cluster's DNS domain" })),
  network: z
    .enum(['flannel', 'none'])
    .default('flannel')
    .meta(flag({ flag: 'network', arg: 'DRIVER', help: 'flannel, or none to bring your own' })),
  childAssets: z
    .boolean()
    .default(true)
    .meta(
      flag({
        flag: 'no-child-assets',
        help: 'leave kube-proxy, the network driver and kube-dns out of the hosted cluster',
      }),
    ),
  featureGates: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*$/), z.enum(['true', 'false'], { error: 'has to be true or false' }))
    .default({})
    .meta(
      flag({
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
        flag: 'audit-policy',
        arg: 'FILE',
        help: 'an audit.k8s.io/v1 Policy instead of the default one, which logs who did what and no bodies',
        file: true,
      }),
    ),
  audit: z
    .boolean()
    .default(true)
    .meta(flag({ flag: 'no-audit', help: 'keep no audit log (k8sk8s logs --audit shows it)' })),
  resources: z
    .array(checked(resourceProblem))
    .default(['small'])
    .meta(
      flag({
        flag: 'resources',
        arg: 'PRESET|COMPONENT=…',
        help: 'small (requests), limits (requests and limits) or none; or COMPONENT=cpu=100m,memory=256Mi',
        list: true,
      }),
    ),
  nodeSelector: z
    .record(z.string(), z.string().regex(labelValue, 'is not a label value'))
    .default({})
    .meta(flag({ flag: 'node-selector', arg: 'KEY=VALUE', help: 'infra nodes that may run the plane', map: true })),
  tolerations: z
    .array(
      checked((value) =>
        tolerationPattern.test(value) ? undefined : 'has to be KEY[=VALUE][:EFFECT], as in kubectl taint',
      ),
    )
    .default([])
    .meta(
      flag({
        flag: 'tolerations',
        arg: 'KEY[=VALUE][:EFFECT]',
        help: 'taints of infra nodes that the plane tolerates',
        list: true,
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
        flag: 'replicas',
        arg: 'N',
        help: 'API servers, controller-managers and schedulers, each on an infra node of its own where there are enough',
      }),
    ),
  etcdMembers: z.coerce
    .number()
    .refine((count) => [1, 3, 5].includes(count), 'has to be 1, 3 or 5')
    .default(1)
    .meta(flag({ flag: 'etcd-members', arg: '1|3|5', help: 'etcd members; with 3 one may be lost, with 5 two' })),
  etcdStorage: checked(storageProblem)
    .default('auto')
    .meta(
      flag({
        flag: 'etcd-storage',
        arg: 'auto|ephemeral|SIZE',
        help: "a volume of SIZE such as 10Gi for each etcd member, ephemeral (in etcd's pod), or auto: what the plane has, for a new one a volume where the infra cluster has a default StorageClass",
      }),
    ),
  etcdStorageClass: checked((value) =>
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value) ? undefined : 'is not the name of a StorageClass',
  )
    .optional()
    .meta(
      flag({
        flag: 'etcd-storage-class',
        arg: 'NAME',
        help: "StorageClass of etcd's volumes instead of the infra cluster's default",
      }),
    ),
  etcdImage: image.optional().meta(flag({ flag: 'etcd-image', arg: 'IMAGE', help: 'image of etcd' })),
  apiServerImage: image
    .optional()
    .meta(flag({ flag: 'api-server-image', arg: 'IMAGE', help: 'image of kube-apiserver' })),
  controllerManagerImage: image
    .optional()
    .meta(flag({ flag: 'controller-manager-image', arg: 'IMAGE', help: 'image of kube-controller-manager' })),
  schedulerImage: image
    .optional()
    .meta(flag({ flag: 'scheduler-image', arg: 'IMAGE', help: 'image of kube-scheduler' })),
  kubeProxyImage: image.optional().meta(flag({ flag: 'kube-proxy-image', arg: 'IMAGE', help: 'image of kube-proxy' })),
  flannelImage: image.optional().meta(flag({ flag: 'flannel-image', arg: 'IMAGE', help: 'image of flannel' })),
  flannelCniImage: image
    .optional()
    .meta(flag({ flag: 'flannel-cni-image', arg: 'IMAGE', help: "image of flannel's CNI plugin" })),
  corednsImage: image.optional().meta(flag({ flag: 'coredns-image', arg: 'IMAGE', help: 'image of CoreDNS' })),
  nodeImage: image.optional().meta(
    flag({
      flag: 'node-image',
      arg: 'IMAGE',
      help: 'image of Node.js, for the kubelet serving certificate approver and the egress proxy',
    }),
  ),
  konnectivityServerImage: image
    .optional()
    .meta(flag({ flag: 'konnectivity-server-image', arg: 'IMAGE', help: "image of konnectivity's proxy-server" })),
  konnectivityAgentImage: image
    .optional()
    .meta(flag({ flag: 'konnectivity-agent-image', arg: 'IMAGE', help: "image of konnectivity's proxy-agent" })),
  imageRegistry: image.optional().meta(
    flag({
      flag: 'image-registry',
      arg: 'HOST[/PATH]',
      help: 'registry that mirrors all images, instead of the upstream ones',
    }),
  ),
  seal: z
    .enum(['none', 'passphrase-file', 'key-file'])
    .default('none')
    .meta(
      flag({
        flag: 'seal',
        arg: 'KIND',
        help: "keep the key of the plane's CA sealed by what --seal-file names: passphrase-file, key-file (age) or none",
      }),
    ),
  imagePullSecret: checked((value) =>
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value) ? undefined : 'is not a Secret name',
  )
    .optional()
    .meta(
      flag({
        flag: 'image-pull-secret',
        arg: 'SECRET',
        help: 'Secret of the namespace with registry credentials, for the plane and (copied) the child assets',
      }),
    ),
});

/** A whole, valid description of a hosted cluster. */
export type ClusterSpec = z.infer<typeof clusterSpec>;
/** What a person gave: fields that are absent take their recorded value or their default. */
export type ClusterSpecInput = z.input<typeof clusterSpec>;

const quantity = '\\d+(?:\\.\\d+)?(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?';
const resourcePattern = new RegExp(
  `^(${components.join('|')})=((?:cpu|memory)=${quantity}(?:,(?:cpu|memory)=${quantity})?)$`,
);
const resourcePresets = ['small', 'limits', 'none'] as const;
const tolerationPattern = /^[A-Za-z0-9][\w./-]*(=[\w.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$/;

function konnectivityEndpointProblem(value: string): string | undefined {
  const [, host, port] = /^([^:/\s]+):(\d+)$/.exec(value) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65535)
    return 'has to be HOST:PORT, such as k.example.com:8132';
  return hostProblem(host);
}

function resourceProblem(value: string): string | undefined {
  if ((resourcePresets as readonly string[]).includes(value) || resourcePattern.test(value)) return undefined;
  return `is neither a preset (${resourcePresets.join(', ')}) nor COMPONENT=cpu=…,memory=… with one of ${components.join(', ')}`;
}

function storageProblem(value: string): string | undefined {
  if (value === 'auto' || value === 'ephemeral') return undefined;
  const size = parseQuantity(value);
  if (size === undefined || !Number.isFinite(size)) return 'is neither auto, ephemeral nor a size such as 10Gi';
  return size < 2 ** 30 ? "is too small: etcd's volume has at least 1Gi" : undefined;
}

/**
 * Checks what was given and fills in defaults. Reports every problem at once.
 *
 * @param source where the values come from, for the message: `the command line`, a file name
 * @throws UserError with exit code 2
 */
export function parseSpec(input: Partial<ClusterSpecInput>, source: string): ClusterSpec {
  const result = clusterSpec.safeParse(input);
  const problems = result.success
    ? crossProblems(result.data)
    : result.error.issues.flatMap((issue) => issueProblems(issue, input));
  if (problems.length > 0) {
    throw new UserError({
      what: problems.length === 1 ? problems[0]! : `${problems.length} values cannot be used`,
      why: problems.length === 1 ? undefined : problems.map((problem) => `\n  - ${problem}`).join(''),
      fix: `correct ${problems.length === 1 ? 'it' : 'them'} in ${source}`,
      anchor: 'bad-values',
      exitCode: 2,
    });
  }
  const spec = result.data!;
  return { ...spec, kubernetesVersion: resolveVersion(spec.kubernetesVersion)! };
}

/** `--service-cidr` for `serviceCidr`: names a field as the person typed it. */
export function flagOf(field: string): string {
  const schema = (clusterSpec.shape as Record<string, z.ZodType>)[field];
  const meta = schema?.meta() as FlagMeta | undefined;
  return meta ? `--${meta.flag}` : field;
}

function issueProblems(issue: z.core.$ZodIssue, input: unknown): string[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `unknown field "${key}"${didYouMean(key, Object.keys(clusterSpec.shape))}`);
  const [field, ...rest] = issue.path;
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], input);
  const label = `${flagOf(String(field))}${rest.length > 0 && typeof rest[0] === 'string' ? ` ${rest.join('.')}` : ''}`;
  if (value === undefined) return [`${label} is missing`];
  const shown = typeof value === 'object' ? '' : ` "${String(value).slice(0, 80)}"`;
  const message =
    issue.code === 'invalid_value' && issue.message.startsWith('Invalid')
      ? `has to be ${issue.values.join(' or ')}`
      : issue.message.startsWith('Invalid input')
        ? wrongType(issue)
        : issue.message;
  return [`${label}${shown} ${message}`];
}

function wrongType(issue: z.core.$ZodIssue): string {
  return `has to be a ${'expected' in issue ? String(issue.expected) : 'different value'}`;
}

/** Problems between fields that are each fine alone. */
function crossProblems(spec: ClusterSpec): string[] {
  const problems: string[] = [];
  const services = parseCidr(spec.serviceCidr)!;
  const pods = parseCidr(spec.podCidr)!;
  if (overlaps(services, pods))
    problems.push(`--service-cidr ${spec.serviceCidr} and --pod-cidr ${spec.podCidr} overlap`);
  for (const [name, network] of [
    ['--service-cidr', services],
    ['--pod-cidr', pods],
  ] as const) {
    if (isIpv4(spec.host) && network.first <= ipNumber(spec.host) && ipNumber(spec.host) <= network.last)
      problems.push(`--host ${spec.host} lies inside ${name} ${network.text}, so workers could not reach it`);
  }
  if (spec.konnectivityEndpoint !== undefined && spec.egress !== 'konnectivity')
    problems.push(`--konnectivity-endpoint has no use with --egress ${spec.egress}: leave one of them out`);
  if (spec.auditPolicy && !spec.audit)
    problems.push('--audit-policy and --no-audit contradict each other: leave one of them out');
  if (isIpv4(spec.host) && spec.expose === 'ingress')
    problems.push(
      `--host ${spec.host} is an address, and an ingress needs a name to choose by: give a name, or --expose nodeport`,
    );
  if (
    spec.expose === 'nodeport' &&
    spec.port !== undefined &&
    spec.nodePort !== undefined &&
    spec.port !== spec.nodePort &&
    spec.workerEndpoint === undefined
  )
    problems.push(
      `--port ${spec.port} and --node-port ${spec.nodePort} differ, but with --expose nodeport they are the same thing`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdMembers > 1)
    problems.push(
      `--etcd-members ${spec.etcdMembers} needs volumes: a member whose data went with its pod may not vote as if it remembered`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdStorageClass !== undefined)
    problems.push('--etcd-storage-class has no use with --etcd-storage ephemeral: leave one of them out');
  const resolved = resolveVersion(spec.kubernetesVersion)!;
  if (!isTested(resolved) && !spec.allowUntestedVersion) {
    const known = knownMinor(resolved);
    problems.push(
      `--kubernetes-version ${resolved} was not tested with this k8sk8s (${known ? `of ${known.minor} it knows ${known.patch}` : `it knows ${knownMinors.map((each) => each.patch).join(', ')}`}); add --allow-untested-version to try it all the same`,
    );
  }
  return problems;
}

function ipNumber(address: string): number {
  return parseCidr(`${address}/32`)!.first;
}

/** ` (did you mean "x"?)` or nothing. */
export function didYouMean(word: string, known: string[]): string {
  const best = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return best && best.distance <= Math.max(2, word.length / 3) ? ` (did you mean "${best.candidate}"?)` : '';
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++)
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    previous = current;
  }
  return previous[b.length]!;
}

/** Images that a spec's plane and child assets run. */
export interface Images {
  etcd: string;
  kubeApiserver: string;
  kubeControllerManager: string;
  kubeScheduler: string;
  kubeProxy: string;
  flannel: string;
  flannelCni: string;
  coredns: string;
  node: string;
  konnectivityServer: string;
  konnectivityAgent: string;
}

/** Every image by its full name: the one given, else upstream's, moved to --image-registry when there is one. */
export function imagesOf(spec: ClusterSpec): Images {
  const kubernetes = (name: string) => `registry.k8s.io/${name}:v${spec.kubernetesVersion}`;
  const mirror = (name: string) =>
    spec.imageRegistry ? `${spec.imageRegistry.replace(/\/$/, '')}/${name.slice(name.indexOf('/') + 1)}` : name;
  return {
    etcd: spec.etcdImage ?? mirror(`registry.k8s.io/etcd:${(knownMinor(spec.kubernetesVersion) ?? newest).etcd}`),
    kubeApiserver: spec.apiServerImage ?? mirror(kubernetes('kube-apiserver')),
    kubeControllerManager: spec.controllerManagerImage ?? mirror(kubernetes('kube-controller-manager')),
    kubeScheduler: spec.schedulerImage ?? mirror(kubernetes('kube-scheduler')),
    kubeProxy: spec.kubeProxyImage ?? mirror(kubernetes('kube-proxy')),
    flannel: spec.flannelImage ?? mirror(otherImages.flannel),
    flannelCni: spec.flannelCniImage ?? mirror(otherImages.flannelCni),
    coredns: spec.corednsImage ?? mirror(otherImages.coredns),
    node: spec.nodeImage ?? mirror(otherImages.node),
    konnectivityServer: spec.konnectivityServerImage ?? mirror(otherImages.konnectivityServer),
    konnectivityAgent: spec.konnectivityAgentImage ?? mirror(otherImages.konnectivityAgent),
  };
}
