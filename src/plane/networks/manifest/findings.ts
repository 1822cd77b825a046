import { contains, networksIn, parseCidr } from '../../../base/cidr.ts';
import { type Words, words } from '../../../base/words.ts';
import { field } from '../../../config/flags.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { objectsOf } from './manifest.ts';

/** What was found in somebody else's manifests: to know, or a reason to look again before workers join. */
export interface ManifestFinding {
  says: Words;
  warning: boolean;
}

interface PodSpec {
  hostNetwork?: boolean;
  containers?: { name: string; env?: { name: string; value?: string }[]; securityContext?: { privileged?: boolean } }[];
  volumes?: { hostPath?: { path: string } }[];
}

type WithPods = KubeObject & { spec?: { template?: { spec?: PodSpec } } };

const ipv4Networks = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}\/\d{1,2}(?!\d)/g;

/** Everything about the pod CIDR, the API's address and what of the worker is mounted. Pure. @param api where workers reach the API */
export function manifestFindings(spec: ClusterSpec, api: { host: string; port: number }): ManifestFinding[] {
  const objects = objectsOf(spec);
  const pods = objects.flatMap((object) => {
    const podSpec = (object as WithPods).spec?.template?.spec;
    return podSpec === undefined ? [] : [{ object, podSpec }];
  });
  return [podCidr(spec), ...apiAddress(pods, api), hostMounts(pods)].filter((each) => each !== undefined);
}

/** A network that is none of a single address, and no default route: what a driver may take for that of pods. */
function podCidr(spec: ClusterSpec): ManifestFinding {
  const { networkManifest = '' } = spec;
  const [own] = networksIn(spec.podCidr);
  const named = [...new Set(networkManifest.match(ipv4Networks) ?? [])].filter((text) => {
    const prefix = parseCidr(text)?.prefix;
    return prefix !== undefined && prefix > 0 && prefix < 32;
  });
  const manifests = field('networkManifest');
  const wanted = field('podCidr', spec.podCidr);
  if (named.some((text) => text === own.text || contains(own, text.split('/')[0]!)))
    return { says: words`${manifests} names the network of ${wanted}`, warning: false };
  if (named.length > 0)
    return {
      says: words`${manifests} names ${named.join(', ')} and not ${wanted}, out of which each Node gets its range: pods would have addresses that the hosted cluster does not take for theirs`,
      warning: true,
    };
  return {
    says: words`${manifests} names no network: the driver has to take each Node's range (spec.podCIDR) out of ${wanted}, or it has a network of its own that nobody sees here`,
    warning: true,
  };
}

type Pods = { object: KubeObject; podSpec: PodSpec }[];

function apiAddress(pods: Pods, { host, port }: { host: string; port: number }): ManifestFinding[] {
  return pods
    .filter(({ podSpec }) => podSpec.hostNetwork)
    .flatMap(({ object, podSpec }): ManifestFinding[] => {
      const env = podSpec.containers?.flatMap((container) => container.env ?? []) ?? [];
      const envOf = (variable: string) => env.find(({ name }) => name === variable)?.value;
      const given = envOf('KUBERNETES_SERVICE_HOST');
      // Where only the host is given, the kubelet says the Service's port.
      const givenPort = envOf('KUBERNETES_SERVICE_PORT') ?? '443';
      const who = `${object.kind.toLowerCase()} "${object.metadata.name}"`;
      if (given === undefined)
        return [
          { says: words`${who} reaches the API by the Service kubernetes, which kube-proxy makes`, warning: false },
        ];
      return given === host && givenPort === `${port}`
        ? [{ says: words`${who} reaches the API at ${host}:${givenPort}`, warning: false }]
        : [
            {
              says: words`${who} reaches the API at ${given}:${givenPort} (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT), and the workers of this plane reach it at ${host}:${port}`,
              warning: true,
            },
          ];
    });
}

function hostMounts(pods: Pods): ManifestFinding | undefined {
  const paths = [
    ...new Set(pods.flatMap(({ podSpec }) => podSpec.volumes?.flatMap(({ hostPath }) => hostPath?.path ?? []) ?? [])),
  ];
  const privileged = pods.some(({ podSpec }) => podSpec.containers?.some((each) => each.securityContext?.privileged));
  if (paths.length === 0 && !privileged) return undefined;
  return {
    says: words`of each worker its pods get ${paths.sort().join(', ') || 'no folder'}${privileged ? ', and everything else too: they are privileged' : ''}`,
    warning: false,
  };
}
