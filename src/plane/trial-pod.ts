import type { ConfigMap, KubeObject, Secret } from '../kube/objects.ts';
import { type Component, componentNamed, componentNames } from './components/lookup.ts';
import { likeTemplate } from './placement.ts';

/** Name of the pod, and of the Secret with the files that its programs are tried with. */
export const trialName = 'k8sk8s-trial';

interface Container {
  name: string;
  image: string;
  args: string[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  volumeMounts?: { name: string; mountPath: string }[];
  ports?: { name: string; containerPort: number }[];
  [field: string]: unknown;
}

interface PodSpec {
  containers: Container[];
  volumes?: ({ name: string } & Record<string, unknown>)[];
  [field: string]: unknown;
}

interface TrialPod extends KubeObject {
  spec: { initContainers?: Container[]; containers: Container[] };
}

/** The programs that a trial of `changed` runs, in the order in which they start. */
export function programsOf(changed: Component[]): Component[] {
  const wanted = new Set<string>(changed.flatMap((name) => [...componentNamed(name).trial.needs, name]));
  return componentNames.filter((name) => wanted.has(name));
}

export interface TrialContext {
  /** The workload of each component, as it is to be applied. */
  workloads: Record<Component, KubeObject>;
  /** The plane's Secrets, as they are to be applied. */
  secrets: Secret[];
  changed: Component[];
  /** The trial's objects go with it when this process is killed. */
  owner: ConfigMap;
}

/**
 * One pod that runs the changed components by their new flags, files and images, on an etcd of its own that is empty. It
 * carries no label of the plane, so no service and no selector of the plane finds it; its etcd listens on the pod's loopback.
 * Pure.
 *
 * The programs that others wait for are sidecar containers (Kubernetes 1.29), so that each one starts when those that it
 * needs have started.
 */
export function buildTrial({ workloads, secrets, changed, owner }: TrialContext): { secret: Secret; pod: TrialPod } {
  const programs = programsOf(changed);
  const templates = programs.map((component) => templateOf(workloads[component]));
  const ownerReferences = [
    { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid! },
  ];
  const port = portOf(containerOf(templateOf(workloads['kube-apiserver']), 'kube-apiserver'));
  const containers = programs.map((component, index) =>
    tried(component, containerOf(templates[index]!, component), changed.includes(component), port),
  );
  const volumes = programs.flatMap((component, index) => volumesOf(component, templates[index]!, secrets));
  // Only a StatefulSet with an ephemeral etcd names the volume of its data among the pod's volumes.
  const named = new Set(volumes.map(({ name }) => name));
  for (const { volumeMounts = [] } of containers)
    for (const { name } of volumeMounts) if (!named.has(name)) named.add(name) && volumes.push({ name, emptyDir: {} });
  // A pod needs a container that is no sidecar: the last program is one.
  const sidecars = containers.slice(0, -1).map((container) => ({ ...container, restartPolicy: 'Always' }));
  const like = likeTemplate(podTemplateOf(workloads[programs[0]!]));
  return {
    secret: filesOf(volumes, secrets, ownerReferences),
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...like.metadata, name: trialName, ownerReferences },
      spec: {
        ...like.spec,
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 0,
        ...(sidecars.length > 0 && { initContainers: sidecars }),
        containers: containers.slice(-1),
        volumes,
      },
    } as TrialPod,
  };
}

type PodTemplate = Pick<KubeObject, 'metadata'> & { spec: PodSpec };

function podTemplateOf(workload: KubeObject): PodTemplate {
  return (workload as KubeObject & { spec: { template: PodTemplate } }).spec.template;
}

function templateOf(workload: KubeObject): PodSpec {
  return podTemplateOf(workload).spec;
}

function portOf({ ports = [] }: Container): number {
  return ports.find(({ name }) => name === 'https')!.containerPort;
}

function containerOf({ containers }: PodSpec, component: Component): Container {
  return containers.find(({ name }) => name === component)!;
}

/** A program beside the changed ones asks for little: the room is for what is judged. */
const bystander = { cpu: '10m', memory: '64Mi' };

function tried(component: Component, container: Container, changed: boolean, port: number): Container {
  const { without, instead, withoutVolumes = [] } = componentNamed(component).trial;
  const { livenessProbe: _liveness, readinessProbe: _readiness, resources, volumeMounts, ...rest } = container;
  const requests = resources?.requests && !changed ? bystander : resources?.requests;
  return {
    ...rest,
    args: [...container.args.filter((argument) => !without.test(argument)), ...instead(port)],
    ...(resources && { resources: { ...resources, ...(requests && { requests }) } }),
    volumeMounts: (volumeMounts ?? [])
      .filter(({ name }) => !withoutVolumes.includes(name))
      .map((mount) => ({ ...mount, name: volumeName(component, mount.name) })),
  };
}

const volumeName = (component: Component, name: string) => `${component}-${name}`;

interface SecretSource {
  name: string;
  items?: { key: string; path: string }[];
}

type Volume = { name: string } & Record<string, unknown>;

/** The volumes of a component, with every file out of the trial's Secret and an empty folder for data. */
function volumesOf(component: Component, { volumes = [] }: PodSpec, secrets: Secret[]): Volume[] {
  const { withoutVolumes = [] } = componentNamed(component).trial;
  return volumes
    .filter(({ name }) => !withoutVolumes.includes(name))
    .map((volume): Volume => {
      const name = volumeName(component, volume.name);
      const sources = sourcesOf(volume);
      if (sources.length === 0) return { name, emptyDir: {} };
      const items = sources.flatMap((source) => itemsOf(source, secrets));
      return { name, secret: { secretName: trialName, defaultMode: 288, items } };
    });
}

function sourcesOf(volume: Volume): SecretSource[] {
  const { secret, projected } = volume as {
    secret?: { secretName: string };
    projected?: { sources: { secret: SecretSource }[] };
  };
  if (secret) return [{ name: secret.secretName }];
  return projected?.sources.map(({ secret: source }) => source) ?? [];
}

function itemsOf({ name, items }: SecretSource, secrets: Secret[]): { key: string; path: string }[] {
  const files = items ?? Object.keys(dataOf(name, secrets)).map((file) => ({ key: file, path: file }));
  return files.map(({ key, path }) => ({ key: `${name}.${key}`, path }));
}

function dataOf(name: string, secrets: Secret[]): Record<string, string> {
  return secrets.find(({ metadata }) => metadata.name === name)?.data ?? {};
}

/** `kube-apiserver.audit-policy.yaml`: the keys of the trial's Secret name the plane's Secret and its file. */
function filesOf(volumes: Volume[], secrets: Secret[], ownerReferences: Secret['metadata']['ownerReferences']): Secret {
  const keys = volumes.flatMap(({ secret }) => (secret as { items: { key: string }[] } | undefined)?.items ?? []);
  const all = new Map(
    secrets.flatMap(({ metadata, data }) =>
      Object.entries(data ?? {}).map(([file, value]): [string, string] => [`${metadata.name}.${file}`, value]),
    ),
  );
  const data = Object.fromEntries(keys.flatMap(({ key }) => (all.has(key) ? [[key, all.get(key)!]] : [])));
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: trialName, ownerReferences }, data };
}
