import type { ClusterSpec } from '../config/schema.ts';

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
