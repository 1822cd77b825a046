import { imagesOf } from '../config/images.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { ConfigMap, KubeObject, PersistentVolumeClaim } from '../kube/objects.ts';
import { renderTemplate, type Value } from '../manifests/render.ts';
import { podSelector } from '../plane/names.ts';
import { secretNames } from '../plane/secrets.ts';
import { containerSecurity, placement, podSecurity } from '../plane/workloads.ts';
import type { BackupHead } from './archive.ts';
import type { BucketLocation } from './location.ts';

/** What the CronJob's program is told: job.json of its ConfigMap. */
export interface JobConfig {
  toolVersion: string;
  namespace: string;
  addresses: BackupHead['addresses'];
  /** Of the members: the first that answers is asked. */
  etcdHosts: string[];
  /** age public keys: what opens the backups is not in the namespace. */
  recipients: string[];
  /** How many of the newest backups stay. */
  keep: number;
  /** Absent: onto the volume. */
  bucket?: BucketLocation & {
    /** Secret with what signs the requests. */
    secret: string;
  };
}

/** Of the CronJob and its ConfigMap. */
export const scheduleName = 'k8sk8s-backup';
/** Annotation of the claim: the image that reads it, also when its plane is gone. */
export const nodeImage = 'k8sk8s.io/node-image';
/** It has no label of the plane, so that it stays when the plane goes. */
export const backupsClaim = 'k8sk8s-backups';
export const cronJobKind = { apiVersion: 'batch/v1', kind: 'CronJob' };
export const configMapKind = { apiVersion: 'v1', kind: 'ConfigMap' };
export const claimKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

/**
 * What the CronJob's pod reads: what it is to do, and, unless the image brings it, the program.
 *
 * @param image of k8sk8s itself, where one is given
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
    ? import('../programs/backup-job/to-bucket.ts?program')
    : import('../programs/backup-job/to-volume.ts?program'));
  return program;
}

/**
 * @param owner its ConfigMap: that carries the plane's labels, so the CronJob goes with the plane too
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
  const [job] = renderTemplate('plane/backup-cronjob.yaml', {
    schedule,
    labels: podSelector(planeId, 'backup'),
    image: image ?? imagesOf(spec).node,
    // An image of k8sk8s has the command line for its entry point.
    command: image === undefined ? ['node', '/config/backup.mjs'] : undefined,
    args: image === undefined ? undefined : ['backup', 'job'],
    podSecurity,
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
  }) as PodTemplateOwner[];
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
    metadata: { name: backupsClaim, annotations: { [nodeImage]: imagesOf(spec).node } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  };
}
