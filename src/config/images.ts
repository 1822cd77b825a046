import type { ClusterSpec } from './schema.ts';
import { otherImages, resolveVersion } from './versions.ts';

/** Images that a spec's plane and child assets run beside the components of the plane and the network driver, which name their own. */
export interface Images {
  kubeProxy: string;
  coredns: string;
  node: string;
  konnectivityServer: string;
  konnectivityAgent: string;
  victoriaLogs: string;
}

/** Whether a reference says which image of its name it is, by a tag or a digest. */
export function isComplete(reference: string): boolean {
  return /[:@]/.test(reference.slice(reference.lastIndexOf('/') + 1));
}

/** The image of the worker pods: of the workers' version, where its reference has no tag. */
export function workerImageOf({ workerImage, workerVersion, kubernetesVersion }: ClusterSpec): string {
  if (workerImage === undefined) throw new Error('a plane without worker pods has no image for them');
  return isComplete(workerImage)
    ? workerImage
    : `${workerImage}:v${resolveVersion(workerVersion ?? kubernetesVersion)}`;
}

/** Of the sandbox of each pod on a worker pod. */
export function pauseImage(spec: ClusterSpec): string {
  return mirrored(spec, 'registry.k8s.io/pause:3.10');
}

/** Every image by its full name: the one given, else upstream's, moved to --image-registry when there is one. */
export function imagesOf(spec: ClusterSpec): Images {
  const mirror = (name: string) => mirrored(spec, name);
  return {
    kubeProxy: spec.kubeProxyImage ?? kubernetesImage(spec, 'kube-proxy'),
    coredns: spec.corednsImage ?? mirror(otherImages.coredns),
    node: spec.nodeImage ?? mirror(otherImages.node),
    konnectivityServer: spec.konnectivityServerImage ?? mirror(otherImages.konnectivityServer),
    konnectivityAgent: spec.konnectivityAgentImage ?? mirror(otherImages.konnectivityAgent),
    victoriaLogs: spec.logStoreImage ?? mirror(otherImages.victoriaLogs),
  };
}

/** Upstream's image of a Kubernetes program in the spec's version, by its full name. */
export function kubernetesImage(spec: ClusterSpec, program: string): string {
  return mirrored(spec, `registry.k8s.io/${program}:v${spec.kubernetesVersion}`);
}

/** An image of upstream by its full name, in the mirror of its registry, else in --image-registry, when there is one. */
export function mirrored({ imageRegistry, registryMirrors }: ClusterSpec, name: string): string {
  const slash = name.indexOf('/');
  const mirror = registryMirrors[name.slice(0, slash)] ?? imageRegistry;
  return mirror ? `${mirror.replace(/\/$/, '')}${name.slice(slash)}` : name;
}
