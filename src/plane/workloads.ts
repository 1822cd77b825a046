import { createHash } from 'node:crypto';
import type { KubeObject } from '../kube/objects.ts';
import { renderTemplate, type Value } from '../manifests/render.ts';
import { type ClusterSpec, type Component, imagesOf } from '../spec.ts';
import type { Addresses } from './addresses.ts';
import { extraArguments, overrideDefaults } from './arguments.ts';
import { egressParts, egressResources } from './egress.ts';
import { labelsOf, podSelector } from './names.ts';
import { profileOf } from './profile.ts';
import { claimTemplate, databaseQuota, dataVolume, type Storage } from './storage.ts';

/** The pods' security under the restricted level of https://kubernetes.io/docs/concepts/security/pod-security-standards/. */
const podSecurity = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  fsGroup: 65532,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

const containerSecurity = (added: string[] = []) => ({
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'], ...(added.length > 0 && { add: added }) },
});

export interface WorkloadContext {
  planeId: string;
  spec: ClusterSpec;
  addresses: Addresses;
  storage: Storage;
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
        nodeSelector?: Record<string, string>;
        tolerations?: object[];
        imagePullSecrets?: { name: string }[];
        containers: { args: string[]; env?: object[]; resources?: object }[];
      };
    };
  };
}

/** StatefulSet etcd and the three Deployments, ready to apply. Pure. */
export function buildWorkloads(context: WorkloadContext): KubeObject[] {
  const { spec, addresses, planeId } = context;
  const images = imagesOf(spec);
  const workload = (
    component: Component,
    image: string,
    values: Record<string, Value>,
    capabilities: string[] = [],
  ): KubeObject => {
    const profile = profileOf(spec, component);
    const extra = overrideDefaults(profile.args, extraArguments(spec, component));
    // etcd keeps its own version: a new Kubernetes version alone must not replace its pod.
    const labels = labelsOf(planeId, component, component === 'etcd' ? tagOf(image) : spec.kubernetesVersion);
    const [object] = renderTemplate(`host/${component}.yaml`, {
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
    if (Object.keys(spec.nodeSelector).length > 0) pod.nodeSelector = spec.nodeSelector;
    if (spec.tolerations.length > 0) pod.tolerations = spec.tolerations.map(toleration);
    if (spec.imagePullSecret) pod.imagePullSecrets = [{ name: spec.imagePullSecret }];
    const { template } = object!.spec;
    const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 16);
    template.metadata.annotations = { ...template.metadata.annotations, [templateHash]: hash };
    return object!;
  };
  return [
    workload('etcd', images.etcd, {
      serviceIp: addresses.etcdServiceIps[0]!,
      planeId,
      ...storageValues(planeId, context.storage),
    }),
    workload(
      'kube-apiserver',
      images.kubeApiserver,
      {
        port: addresses.advertised.port,
        advertiseAddress: addresses.advertised.address,
        etcdIp: addresses.etcdServiceIps[0]!,
        issuers: addresses.issuers.map((issuer) => `--service-account-issuer=${issuer}`),
        issuer: addresses.issuers[0]!,
        serviceCidr: spec.serviceCidr,
        auditArgs: spec.audit
          ? ['--audit-policy-file=/etc/kubernetes/pki/audit-policy.yaml', '--audit-log-path=-']
          : [],
        ...egressParts(spec, {
          image: images.node,
          port: addresses.advertised.port,
          containerSecurity: containerSecurity(),
          resources: presetResources(spec, egressResources),
        }),
      },
      // Upstream's kube-apiserver binary carries this as a file capability and cannot be executed without it.
      ['NET_BIND_SERVICE'],
    ),
    workload('kube-controller-manager', images.kubeControllerManager, {
      podCidr: spec.podCidr,
      serviceCidr: spec.serviceCidr,
    }),
    workload('kube-scheduler', images.kubeScheduler, {}),
  ];
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
