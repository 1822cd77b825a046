import * as z from 'zod';
import { labelValue, metadata, numberOrPlatform, objectName, toleration } from '../values/objects.ts';
import { resources } from '../values/sizes.ts';
import { flag } from './flag.ts';

/** The plane's pods: what the infra cluster has to give and to allow. */
export const podFields = {
  policyTypes: z
    .enum(['Ingress', 'Ingress,Egress'])
    .default('Ingress')
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'policy-types',
        arg: 'Ingress|Ingress,Egress',
        help: "what the plane's NetworkPolicies rule: who reaches its pods, or also what its pods reach; the second is needed where the namespace denies egress",
      }),
    ),
  resources: z
    .array(resources)
    .default(['small'])
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'resources',
        arg: 'PRESET|COMPONENT=…',
        help: 'small (requests, and a memory limit of the API server), limits (requests and limits) or none; or COMPONENT=cpu=100m,memory=256Mi',
        list: true,
      }),
    ),
  nodeSelector: z
    .record(z.string(), labelValue)
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'node-selector',
        arg: 'KEY=VALUE',
        help: 'infra nodes that may run the plane',
        map: true,
      }),
    ),
  tolerations: z
    .array(toleration)
    .default([])
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'tolerations',
        arg: 'KEY[=VALUE][:EFFECT]',
        help: 'taints of infra nodes that the plane tolerates',
        list: true,
      }),
    ),
  podLabels: metadata(labelValue)
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'pod-label',
        arg: 'KEY=VALUE',
        help: "one more label of the plane's pods, for example one that a policy of the infra cluster wants",
        map: true,
      }),
    ),
  podAnnotations: metadata(z.string())
    .default({})
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'pod-annotation',
        arg: 'KEY=VALUE',
        help: "one more annotation of the plane's pods, for example one that keeps sidecars away",
        map: true,
      }),
    ),
  priorityClassName: objectName('PriorityClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'priority-class-name',
        arg: 'NAME',
        help: "PriorityClass of the plane's pods",
      }),
    ),
  runtimeClassName: objectName('RuntimeClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'runtime-class-name',
        arg: 'NAME',
        help: "RuntimeClass of the plane's pods",
      }),
    ),
  serviceAccountName: objectName('ServiceAccount')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'service-account-name',
        arg: 'NAME',
        help: "ServiceAccount of the plane's pods, of which they get no token; default: the namespace's default",
      }),
    ),
  runAsUser: numberOrPlatform.optional().meta(
    flag({
      group: 'Pods of the plane',
      flag: 'run-as-user',
      arg: 'NUMBER|platform',
      help: "user and group that the plane's pods run as, default 65532; platform leaves them to the infra cluster, as OpenShift wants it",
    }),
  ),
  fsGroup: numberOrPlatform.optional().meta(
    flag({
      group: 'Pods of the plane',
      flag: 'fs-group',
      arg: 'NUMBER|platform',
      help: "group of the pods' volumes; default as --run-as-user",
    }),
  ),
  replicas: z.coerce
    .number()
    .int()
    .min(1, 'has to be 1 to 5')
    .max(5, 'has to be 1 to 5')
    .default(1)
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'replicas',
        arg: 'N',
        help: 'API servers, controller-managers and schedulers, each on an infra node of its own if there are enough nodes',
      }),
    ),
};
