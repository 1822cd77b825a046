import { createHash } from 'node:crypto';
import type { Component } from '../config/components.ts';
import { imagesOf } from '../config/images.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject, Workload } from '../kube/objects.ts';
import { renderTemplate, type Value } from '../manifests/render.ts';
import type { Addresses } from './addresses.ts';
import { extraArguments, overrideDefaults } from './arguments.ts';
import { egressParts, egressResources } from './egress.ts';
import { dataVolume, labelsOf, podSelector } from './names.ts';
import { paceVariables, profileOf } from './profile.ts';
import { claimTemplate, databaseQuota, type Storage } from './storage.ts';

/** The pods' security under the restricted level of https://kubernetes.io/docs/concepts/security/pod-security-standards/. */
export const podSecurity = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  fsGroup: 65532,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

export const containerSecurity = (added: string[] = []) => ({
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'], ...(added.length > 0 && { add: added }) },
});

/** etcd's members as their pods are told them. */
export interface Membership {
  /** Pods of the StatefulSet: etcd-0 and so on. */
  pods: number;
  /** Who forms, or has formed, the cluster, by the number of the pod. Read only by a member without data; none: it stops. */
  members: number[];
  /** The member without data is to join a cluster that is there, and not to form one. */
  joining: boolean;
}

/**
 * All members of a plane.
 *
 * @param formed whether they have formed their cluster. From then on one without data is told of no cluster, and stops:
 *   a majority of such members would form another, empty one beside the data of the rest. A single member has nobody
 *   beside it, and begins anew.
 */
export function settledMembership(count: number, formed: boolean): Membership {
  if (formed && count > 1) return { pods: count, members: [], joining: true };
  return { pods: count, members: Array.from({ length: count }, (_, member) => member), joining: false };
}

/** In place of members: read, and not found to be itself, by a member without data. */
const nobody = 'none-without-data=https://127.0.0.1:2380';

export interface WorkloadContext {
  planeId: string;
  spec: ClusterSpec;
  addresses: Addresses;
  storage: Storage;
  membership: Membership;
  /** Hash of the Secrets that a component mounts. */
  configHash: Record<Component, string>;
}

/** Annotation of every pod: which template it was made of. */
export const templateHash = 'k8sk8s.io/template-hash';

/** The template hash that a rendered workload gives its pods. */
export function templateHashOf(workload: KubeObject): string | undefined {
  return (workload as PodTemplateOwner).spec.template.metadata.annotations?.[templateHash];
}

/** The hash of what a workload's pods read only at their start. */
export function configHashOf(workload: KubeObject): string | undefined {
  return (workload as PodTemplateOwner).spec.template.metadata.annotations?.['k8sk8s.io/config-hash'];
}

/** A pod template as far as the functions below touch it. */
interface PodTemplateOwner extends KubeObject {
  spec: {
    template: {
      metadata: { annotations?: Record<string, string> };
      spec: {
        hostAliases?: object[];
        nodeSelector?: Record<string, string>;
        tolerations?: object[];
        imagePullSecrets?: { name: string }[];
        topologySpreadConstraints?: object[];
        containers: { args: string[]; env?: { name: string }[]; resources?: object }[];
      };
    };
  };
}

/** StatefulSet etcd and the three Deployments, ready to apply. Pure. */
export function buildWorkloads(context: WorkloadContext): Record<Component, Workload> {
  const { spec, addresses, planeId } = context;
  const images = imagesOf(spec);
  const single = spec.replicas === 1;
  const elected = {
    replicas: spec.replicas,
    leaderElect: !single,
    strategy: single
      ? { type: 'Recreate' }
      : { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
  };
  const workload = (
    component: Component,
    image: string,
    values: Record<string, Value>,
    capabilities: string[] = [],
  ): Workload => {
    const profile = profileOf(spec, component);
    const extra = overrideDefaults(profile.args, extraArguments(spec, component));
    // etcd keeps its own version: a new Kubernetes version alone must not replace its pod.
    const labels = labelsOf(planeId, component, component === 'etcd' ? tagOf(image) : spec.kubernetesVersion);
    const [object] = renderTemplate(`plane/${component}.yaml`, {
      selector: podSelector(planeId, component),
      labels,
      configHash: context.configHash[component],
      podSecurity,
      containerSecurity: containerSecurity(capabilities),
      image,
      extraArgs: extra,
      ...values,
    }) as PodTemplateOwner[];
    object!.metadata.labels = labels;
    const pod = object!.spec.template.spec;
    const container = pod.containers[0]!;
    container.args = overrideDefaults(container.args.slice(0, container.args.length - extra.length), extra);
    const env = Object.entries(profile.env).map(([name, value]) => ({ name, value }));
    if (env.length > 0) container.env = [...(container.env ?? []), ...env];
    const resources = resourcesOf(spec, component);
    if (resources) container.resources = resources;
    // In this order: the template's hash depends on it.
    const { imagePullSecrets, ...place } = placement(spec);
    Object.assign(pod, place);
    if (component !== 'etcd' && !single) pod.topologySpreadConstraints = [spread(planeId, component)];
    if (imagePullSecrets) pod.imagePullSecrets = imagePullSecrets;
    const { template } = object!.spec;
    const hash = createHash('sha256')
      .update(JSON.stringify(restartRelevant(template)))
      .digest('hex')
      .slice(0, 16);
    template.metadata.annotations = { ...template.metadata.annotations, [templateHash]: hash };
    return object! as unknown as Workload;
  };
  return {
    etcd: workload('etcd', images.etcd, {
      ...memberValues(planeId, context),
      ...storageValues(planeId, context.storage),
    }),
    'kube-apiserver': workload(
      'kube-apiserver',
      images.kubeApiserver,
      {
        port: addresses.advertised.port,
        advertiseAddress: addresses.advertised.address,
        etcdServers: addresses.etcdServiceIps
          .slice(0, spec.etcdMembers)
          .map((address) => `https://${address}:2379`)
          .join(','),
        replicas: spec.replicas,
        // With others to send clients to, it goes on answering until everybody has heard that it is leaving.
        shutdownArgs: single ? [] : ['--shutdown-delay-duration=5s'],
        gracePeriod: single ? 15 : 25,
        issuers: addresses.issuers.map((issuer) => `--service-account-issuer=${issuer}`),
        issuer: addresses.issuers[0]!,
        serviceCidr: spec.serviceCidr,
        auditArgs: spec.audit
          ? ['--audit-policy-file=/etc/kubernetes/pki/audit-policy.yaml', '--audit-log-path=-']
          : [],
        ...egressParts(spec, {
          port: addresses.advertised.port,
          containerSecurity: containerSecurity(),
          resources: presetResources(spec, egressResources),
        }),
      },
      // Upstream's kube-apiserver binary carries this as a file capability and cannot be executed without it.
      ['NET_BIND_SERVICE'],
    ),
    'kube-controller-manager': workload('kube-controller-manager', images.kubeControllerManager, {
      ...elected,
      podCidr: spec.podCidr,
      serviceCidr: spec.serviceCidr,
      // A sealed authority has another sign in its place.
      signer: spec.seal === 'none' ? 'ca' : 'ca-signer',
    }),
    'kube-scheduler': workload('kube-scheduler', images.kubeScheduler, elected),
  };
}

/** Where the plane's pods may run, and what their images are pulled with: fields of their specs. */
export function placement(spec: ClusterSpec): {
  nodeSelector?: Record<string, string>;
  tolerations?: object[];
  imagePullSecrets?: { name: string }[];
} {
  return {
    ...(Object.keys(spec.nodeSelector).length > 0 && { nodeSelector: spec.nodeSelector }),
    ...(spec.tolerations.length > 0 && { tolerations: spec.tolerations.map(toleration) }),
    ...(spec.imagePullSecret && { imagePullSecrets: [{ name: spec.imagePullSecret }] }),
  };
}

/** A template without what no running member is replaced for: what only one without data reads, and the pace of all. */
function restartRelevant(template: PodTemplateOwner['spec']['template']): object {
  const { hostAliases: _, ...pod } = template.spec;
  const containers = pod.containers.map((container) => ({
    ...container,
    args: container.args.filter((argument) => !/^--initial-cluster(-state)?=/.test(argument)),
    env: container.env?.filter(({ name }) => !paceVariables.includes(name)),
  }));
  return { ...template, spec: { ...pod, containers } };
}

/**
 * One on a node wherever nodes suffice, and evenly where they do not: the same as required anti-affinity, but for
 * replicas that no node is left for, which share one instead of waiting for another.
 */
function spread(planeId: string, component: Component): object {
  return {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'DoNotSchedule',
    // Cordoned and lost nodes do not count as places.
    nodeTaintsPolicy: 'Honor',
    labelSelector: { matchLabels: podSelector(planeId, component) },
  };
}

/** Members are known to each other by their services' addresses; the names lead to the same without DNS. */
function memberValues(planeId: string, { addresses, membership }: WorkloadContext): Record<string, Value> {
  const { pods, members, joining } = membership;
  const addressOf = (member: number) => addresses.etcdServiceIps[member]!;
  return {
    planeId,
    members: pods,
    initialCluster: members.map((member) => `etcd-${member}=https://${addressOf(member)}:2380`).join(',') || nobody,
    initialClusterState: joining ? 'existing' : 'new',
    hostAliases: Array.from({ length: pods }, (_, member) => ({
      ip: addressOf(member),
      hostnames: [`etcd-${member}.etcd`],
    })),
  };
}

function storageValues(planeId: string, storage: Storage): Record<string, Value> {
  return storage.kind === 'volume'
    ? {
        emptyData: undefined,
        claimTemplates: [claimTemplate(planeId, storage) as unknown as Value],
        quotaArgs: [`--quota-backend-bytes=${databaseQuota(storage)}`],
      }
    : { emptyData: { name: dataVolume, emptyDir: {} }, claimTemplates: undefined, quotaArgs: [] };
}

interface Resources {
  requests: Record<string, string>;
  limits: Record<string, string>;
}

function resourcesOf(spec: ClusterSpec, component: Component): Partial<Resources> | undefined {
  const own = spec.resources.find((entry) => entry.startsWith(`${component}=`));
  if (own) {
    const requests = Object.fromEntries(
      own
        .slice(component.length + 1)
        .split(',')
        .map((pair) => pair.split('=') as [string, string]),
    );
    return { requests };
  }
  return presetResources(spec, profileOf(spec, component));
}

function presetResources(spec: ClusterSpec, { requests, limits }: Resources): Partial<Resources> | undefined {
  const preset = spec.resources.findLast((entry) => !entry.includes('=')) ?? 'small';
  if (preset === 'none') return undefined;
  return preset === 'limits' ? { requests, limits } : { requests };
}

/** `KEY[=VALUE][:EFFECT]`, as in kubectl taint, as a toleration. */
function toleration(text: string): object {
  const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?(?::(.+))?$/.exec(text) ?? [];
  return {
    key,
    operator: value === undefined ? 'Exists' : 'Equal',
    ...(value !== undefined && { value }),
    ...(effect && { effect }),
  };
}

/** The tag of an image as a label value; `untagged` where it has none. */
function tagOf(image: string): string {
  return /:([\w][\w.-]{0,62})$/.exec(image.split('@')[0]!)?.[1]?.replace(/[._-]+$/, '') ?? 'untagged';
}
