import * as z from 'zod';
import { everyKey } from '../values/checked.ts';
import { objectName } from '../values/objects.ts';
import { image } from '../values/programs.ts';
import { upstreamRegistries } from '../versions.ts';
import { flag } from './flag.ts';

const imageOf = (name: string, program: string) =>
  image.optional().meta(flag({ group: 'Images', flag: `${name}-image`, arg: 'IMAGE', help: `image of ${program}` }));

/** The images, and where they come from. */
export const imageFields = {
  etcdImage: imageOf('etcd', 'etcd'),
  apiServerImage: imageOf('api-server', 'kube-apiserver'),
  controllerManagerImage: imageOf('controller-manager', 'kube-controller-manager'),
  schedulerImage: imageOf('scheduler', 'kube-scheduler'),
  kubeProxyImage: imageOf('kube-proxy', 'kube-proxy'),
  flannelImage: imageOf('flannel', 'flannel'),
  flannelCniImage: imageOf('flannel-cni', "flannel's CNI plugin"),
  ciliumImage: imageOf('cilium', "Cilium's agent"),
  ciliumOperatorImage: imageOf('cilium-operator', "Cilium's operator"),
  corednsImage: imageOf('coredns', 'CoreDNS'),
  nodeImage: imageOf(
    'node',
    'Node.js, for the kubelet serving certificate approver and the gate beside the API server',
  ),
  konnectivityServerImage: imageOf('konnectivity-server', "konnectivity's proxy-server"),
  konnectivityAgentImage: imageOf('konnectivity-agent', "konnectivity's proxy-agent"),
  logStoreImage: imageOf('log-store', 'VictoriaLogs'),
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
        help: 'mirror of one upstream registry (registry.k8s.io, docker.io, ghcr.io or quay.io), under which its images have the same path',
        map: true,
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
};
