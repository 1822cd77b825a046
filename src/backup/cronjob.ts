import { imagesOf } from '../config/images.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { ConfigMap, KubeObject, PersistentVolumeClaim } from '../kube/objects.ts';
import { render, type Value } from '../manifests/render.ts';
import { podSelector } from '../plane/names.ts';
import { likePodsOf, placement } from '../plane/placement.ts';
import { containerSecurity, podSecurity } from '../plane/pod-security.ts';
import { type EgressRule, toComponent } from '../plane/policy-rules.ts';
import { secretNames } from '../plane/secrets.ts';
import cronjobTemplate from './cronjob.yaml';
import type { JobConfig } from './job/config.ts';

/** Name of the CronJob and its ConfigMap. */
export const scheduleName = 'k8sk8s-backup';
/** Annotations of the claim: the image of the pod that reads it, and the likeness of that pod as JSON, also after its plane was destroyed. */
export const nodeImage = 'k8sk8s.io/node-image';
export const podLikeness = 'k8sk8s.io/pod';
/** The claim has no label of the plane, so `destroy` does not delete it. */
export const backupsClaim = 'k8sk8s-backups';
export const cronJobKind = { apiVersion: 'batch/v1', kind: 'CronJob' };
export const configMapKind = { apiVersion: 'v1', kind: 'ConfigMap' };
export const claimKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

/**
 * The ConfigMap that the CronJob's pod mounts: the settings and, unless the image contains it, the program.
 *
 * @param image of k8sk8s itself, if one was given
 */
export async function buildConfig(
  config: JobConfig,
  labels: Record<string, string>,
  image?: string,
): Promise<ConfigMap> {
  return {
    ...configMapKind,
    metadata: { name: scheduleName, labels },
    data: {
      'job.json': `${JSON.stringify(config, null, 2)}\n`,
      ...(image === undefined && { 'backup.mjs': await jobProgram(config) }),
    },
  };
}

/** Read when it is wanted: the one for a bucket is as large as all of k8sk8s besides. */
async function jobProgram({ bucket }: JobConfig): Promise<string> {
  const { default: program } = await (bucket
    ? import('./job/to-bucket.ts?program')
    : import('./job/to-volume.ts?program'));
  return program;
}

/**
 * @param owner its ConfigMap, which carries the plane's labels, so the CronJob is deleted with the plane
 * @param image of k8sk8s itself; absent: the image of Node.js, with the ConfigMap's program
 */
export function buildCronJob(
  spec: ClusterSpec,
  planeId: string,
  schedule: string,
  config: JobConfig,
  owner: KubeObject,
  image?: string,
): KubeObject {
  const { bucket } = config;
  const [job] = render(
    cronjobTemplate,
    {
      schedule,
      labels: { ...spec.podLabels, ...podSelector(planeId, 'backup') },
      annotations: Object.keys(spec.podAnnotations).length > 0 ? spec.podAnnotations : undefined,
      image: image ?? imagesOf(spec).node,
      // The entry point of k8sk8s' image is the command line.
      command: image === undefined ? ['node', '/config/backup.mjs'] : undefined,
      args: image === undefined ? undefined : ['backup', 'job'],
      podSecurity: podSecurity(spec),
      containerSecurity: containerSecurity(),
      storeMounts: [
        bucket
          ? { name: 'bucket-keys', mountPath: '/bucket-keys', readOnly: true }
          : { name: 'backups', mountPath: '/backups' },
      ],
      storeVolumes: [
        bucket
          ? { name: 'bucket-keys', secret: { secretName: bucket.secret, defaultMode: 288 } }
          : { name: 'backups', persistentVolumeClaim: { claimName: backupsClaim } },
      ],
      secretMounts: secretNames.map((name) => ({ name, mountPath: `/secrets/${name}`, readOnly: true })),
      secretVolumes: secretNames.map((name) => ({
        name,
        secret: { secretName: name, defaultMode: 288, optional: true },
      })) as Value[],
    },
    'backup/cronjob.yaml',
  ) as PodTemplateOwner[];
  Object.assign(job!.spec.jobTemplate.spec.template.spec, placement(spec));
  job!.metadata.ownerReferences = [{ ...configMapKind, name: owner.metadata.name, uid: owner.metadata.uid! }];
  return job!;
}

interface PodTemplateOwner extends KubeObject {
  spec: { jobTemplate: { spec: { template: { spec: object } } } };
}

export function buildClaim(size: string, storageClass: string | undefined, spec: ClusterSpec): PersistentVolumeClaim {
  return {
    ...claimKind,
    metadata: { name: backupsClaim, annotations: claimAnnotations(spec) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  };
}

/** What the claim remembers of its plane. Pure. */
export function claimAnnotations(spec: ClusterSpec): Record<string, string> {
  return { [nodeImage]: imagesOf(spec).node, [podLikeness]: JSON.stringify(likePodsOf(spec)) };
}

export const policyKind = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };

/** What the pods of the schedule reach, where the spec has policies rule that. Pure. @param owner its ConfigMap */
export function buildPolicy(planeId: string, { bucket }: JobConfig, owner: KubeObject): KubeObject {
  // A bucket may be anywhere, behind a service of another port, too.
  const egress: EgressRule[] = bucket ? [{}] : [toComponent(planeId, 'etcd', [2379])];
  return {
    ...policyKind,
    metadata: {
      name: scheduleName,
      ownerReferences: [{ ...configMapKind, name: owner.metadata.name, uid: owner.metadata.uid! }],
    },
    spec: { podSelector: { matchLabels: podSelector(planeId, 'backup') }, policyTypes: ['Egress'], egress },
  } as KubeObject;
}
