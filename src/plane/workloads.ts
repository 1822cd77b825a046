import { createHash } from 'node:crypto';
import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject, Workload } from '../kube/objects.ts';
import { render } from '../manifests/render.ts';
import { extraArguments, overrideDefaults } from './arguments.ts';
import type { PlaneComponent, WorkloadContext } from './components/component.ts';
import { byComponent, type Component } from './components/lookup.ts';
import { labelsOf, podSelector } from './names.ts';
import { placement } from './placement.ts';
import { containerSecurity, podSecurity } from './pod-security.ts';
import { resourcesOf } from './resources.ts';

/** Annotation of every pod: which template it was made of. */
export const templateHash = 'k8sk8s.io/template-hash';

/** Annotation of every pod: the hash of what it read at its start. */
export const configHash = 'k8sk8s.io/config-hash';

/** The template hash that a rendered workload gives its pods. */
export function templateHashOf(workload: KubeObject): string | undefined {
  return (workload as PodTemplateOwner).spec.template.metadata.annotations?.[templateHash];
}

/** The hash of what a workload's pods read only at their start. */
export function configHashOf(workload: KubeObject): string | undefined {
  return (workload as PodTemplateOwner).spec.template.metadata.annotations?.[configHash];
}

interface Container {
  name: string;
  args: string[];
  env?: { name: string; value?: string }[];
  resources?: object;
}

/** A pod template as far as the functions below touch it. */
interface PodTemplate {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    hostAliases?: object[];
    nodeSelector?: Record<string, string>;
    tolerations?: object[];
    imagePullSecrets?: { name: string }[];
    topologySpreadConstraints?: object[];
    containers: Container[];
  };
}

interface PodTemplateOwner extends KubeObject {
  spec: { template: PodTemplate };
}

/**
 * The workload of each component, ready to apply. Pure.
 *
 * @param hashes of what each component reads only at its start
 */
export function buildWorkloads(
  context: WorkloadContext,
  hashes: Record<Component, string>,
): Record<Component, Workload> {
  return byComponent((component) => buildWorkload(component, context, hashes[component.name]));
}

function buildWorkload(component: PlaneComponent, context: WorkloadContext, hash: string): Workload {
  const { spec, planeId } = context;
  const { name, workload } = component;
  const extra = overrideDefaults(component.profiles[spec.profile].args, extraArguments(spec, component));
  const labels = labelsOf(planeId, name, component.version?.(spec) ?? spec.kubernetesVersion);
  const [object] = render(
    workload.template,
    {
      selector: podSelector(planeId, name),
      labels,
      configHash: hash,
      podSecurity: podSecurity(spec),
      containerSecurity: containerSecurity(workload.capabilities),
      image: component.image(spec),
      extraArgs: extra,
      ...workload.values(context),
    },
    `the workload of ${name}`,
  ) as PodTemplateOwner[];
  object!.metadata.labels = labels;
  const { template } = object!.spec;
  completeContainer(template.spec.containers.find((each) => each.name === name)!, component, spec, extra.length);
  completePod(template.spec, component, context);
  template.metadata.labels = { ...spec.podLabels, ...template.metadata.labels };
  template.metadata.annotations = { ...spec.podAnnotations, ...template.metadata.annotations };
  template.metadata.annotations = { ...template.metadata.annotations, [templateHash]: hashOf(template, workload) };
  return object! as unknown as Workload;
}

/** @param extra how many of the arguments, at their end, are not of the template */
function completeContainer(container: Container, component: PlaneComponent, spec: ClusterSpec, extra: number): void {
  const profile = component.profiles[spec.profile];
  const end = container.args.length - extra;
  container.args = overrideDefaults(container.args.slice(0, end), container.args.slice(end));
  const env = Object.entries({ ...profile.env, ...component.workload.env?.(spec) });
  if (env.length > 0) container.env = [...(container.env ?? []), ...env.map(([name, value]) => ({ name, value }))];
  const resources = resourcesOf(spec, component.name, profile);
  if (resources) container.resources = resources;
}

/** In this order: the template's hash depends on it. */
function completePod(pod: PodTemplate['spec'], component: PlaneComponent, { spec, planeId }: WorkloadContext): void {
  const { imagePullSecrets, ...place } = placement(spec);
  Object.assign(pod, place);
  if (component.workload.spread && component.replicas(spec) > 1)
    pod.topologySpreadConstraints = [spread(planeId, component.name)];
  if (imagePullSecrets) pod.imagePullSecrets = imagePullSecrets;
}

function hashOf(template: PodTemplate, { ignored }: PlaneComponent['workload']): string {
  return createHash('sha256')
    .update(JSON.stringify(restartRelevant(template, ignored)))
    .digest('hex')
    .slice(0, 16);
}

/** A template without what no running pod is replaced for. */
function restartRelevant(template: PodTemplate, ignored: PlaneComponent['workload']['ignored']): object {
  const { hostAliases: _, ...pod } = template.spec;
  const containers = pod.containers.map((container) => ({
    ...container,
    args: container.args.filter((argument) => !ignored?.args.test(argument)),
    env: container.env?.filter(({ name }) => !ignored?.env.includes(name)),
  }));
  return { ...template, spec: { ...pod, containers } };
}

/**
 * One on a node wherever nodes suffice, and evenly where they do not: the same as required anti-affinity, but for
 * replicas that no node is left for, which share one instead of waiting for another.
 */
function spread(planeId: string, component: string): object {
  return {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'DoNotSchedule',
    // Cordoned and lost nodes do not count as places.
    nodeTaintsPolicy: 'Honor',
    labelSelector: { matchLabels: podSelector(planeId, component) },
  };
}
