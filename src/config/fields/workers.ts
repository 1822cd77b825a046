import * as z from 'zod';
import { labelValue, objectName, toleration } from '../values/objects.ts';
import { image, version } from '../values/programs.ts';
import { podSize, volumeSize } from '../values/sizes.ts';
import { proxyExceptions, proxyUrl } from '../values/urls.ts';
import { flag } from './flag.ts';

/** Workers as pods. */
export const workerFields = {
  workerPods: z.coerce
    .number()
    .int()
    .min(0, 'has to be 0 to 100')
    .max(100, 'has to be 0 to 100')
    .default(0)
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-pods',
        arg: 'N',
        help: 'workers as privileged pods of the infra cluster; who administers the hosted cluster is root on their infra nodes then',
      }),
    ),
  workerImage: image.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-image',
      arg: 'IMAGE',
      help: "image of the worker pods, as Dockerfile.worker makes it; without a tag the one of the workers' Kubernetes version (v1.37.2)",
    }),
  ),
  workerVersion: version.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-version',
      arg: 'VERSION',
      help: "Kubernetes version of the worker pods, up to three minors older than the plane's, for a --worker-image without a tag; default: the plane's",
    }),
  ),
  workerResources: podSize.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-resources',
      arg: 'cpu=N,memory=SIZE',
      help: 'what each worker pod requests of its infra node and offers as a Node; its memory has this limit',
    }),
  ),
  workerStorage: volumeSize.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-storage',
      arg: 'SIZE',
      help: 'a volume for each worker pod, which keeps its images and its identity; default: the disk of its infra node, as long as the pod lives',
    }),
  ),
  workerStorageClass: objectName('StorageClass')
    .optional()
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-storage-class',
        arg: 'NAME',
        help: "StorageClass of these volumes instead of the infra cluster's default",
      }),
    ),
  workerNodeSelector: z
    .record(z.string(), labelValue)
    .optional()
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-node-selector',
        arg: 'KEY=VALUE',
        help: 'infra nodes that may run worker pods; default: as --node-selector',
        map: true,
      }),
    ),
  workerTolerations: z
    .array(toleration)
    .optional()
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-tolerations',
        arg: 'KEY[=VALUE][:EFFECT]',
        help: 'taints of infra nodes that worker pods tolerate; default: as --tolerations',
        list: true,
      }),
    ),
  workerHttpProxy: proxyUrl.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-http-proxy',
      arg: 'URL',
      help: 'proxy by which containerd and the kubelet of worker pods reach registries',
    }),
  ),
  workerHttpsProxy: proxyUrl
    .optional()
    .meta(flag({ group: 'Worker pods', flag: 'worker-https-proxy', arg: 'URL', help: 'the same for https' })),
  workerProxyExceptions: proxyExceptions.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-proxy-exceptions',
      arg: 'LIST',
      help: 'what worker pods reach without a proxy besides HOST and the networks of both clusters',
    }),
  ),
  workerRuntimeClass: objectName('RuntimeClass')
    .optional()
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-runtime-class',
        arg: 'NAME',
        help: 'RuntimeClass of worker pods, for example a sandboxed one; default: as --runtime-class-name',
      }),
    ),
};
