import type { ClusterSpec } from '../config/schema.ts';
import { podSecurity } from './pod-security.ts';

/** Where the plane's pods may run and as whom, and what their images are pulled with: fields of their specs. */
export function placement(spec: ClusterSpec): {
  nodeSelector?: Record<string, string>;
  tolerations?: object[];
  priorityClassName?: string;
  runtimeClassName?: string;
  serviceAccountName?: string;
  imagePullSecrets?: { name: string }[];
} {
  const { priorityClassName, runtimeClassName, serviceAccountName } = spec;
  return {
    ...(Object.keys(spec.nodeSelector).length > 0 && { nodeSelector: spec.nodeSelector }),
    ...(spec.tolerations.length > 0 && { tolerations: spec.tolerations.map(toleration) }),
    ...(priorityClassName && { priorityClassName }),
    ...(runtimeClassName && { runtimeClassName }),
    ...(serviceAccountName && { serviceAccountName }),
    ...(spec.imagePullSecret && { imagePullSecrets: [{ name: spec.imagePullSecret }] }),
  };
}

/** What a pod takes over that is none of the plane's, to be admitted, placed and pulled as those are. */
export interface Likeness {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

/** The likeness of the pods of a spec. Pure. */
export function likePodsOf(spec: ClusterSpec): Likeness {
  const { podLabels: labels, podAnnotations: annotations } = spec;
  const { imagePullSecrets, ...place } = placement(spec);
  return {
    metadata: { ...whereAny('labels', labels), ...whereAny('annotations', annotations) },
    spec: { ...place, ...(imagePullSecrets && { imagePullSecrets }), securityContext: podSecurity(spec) },
  };
}

interface PodTemplate {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

const fields = [
  'nodeSelector',
  'tolerations',
  'priorityClassName',
  'runtimeClassName',
  'serviceAccountName',
  'imagePullSecrets',
  'securityContext',
];

/** k8sk8s' own labels and annotations: by these a plane's pods are found, by its services among others. */
const own = /^(app\.kubernetes\.io|k8sk8s\.io)\//;

/** The likeness of the pods of a rendered template. Pure. */
export function likeTemplate({ metadata, spec }: PodTemplate): Likeness {
  const given = (map: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(map).filter(([key]) => !own.test(key)));
  return {
    metadata: {
      ...whereAny('labels', given(metadata.labels)),
      ...whereAny('annotations', given(metadata.annotations)),
    },
    spec: Object.fromEntries(fields.flatMap((field) => (spec[field] === undefined ? [] : [[field, spec[field]]]))),
  };
}

function whereAny(name: 'labels' | 'annotations', map: Record<string, string>): Likeness['metadata'] {
  return Object.keys(map).length > 0 ? { [name]: map } : {};
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
