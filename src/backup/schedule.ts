import { readFileSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { openPlane } from '../hosted.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import { explainInfraError } from '../kube/errors.ts';
import type { ConfigMap, KubeObject, PersistentVolumeClaim } from '../kube/objects.ts';
import { nameOf } from '../kube/objects.ts';
import { packageFile } from '../manifests/package-file.ts';
import { renderTemplate, type Value } from '../manifests/render.ts';
import { labelsOf, planeSelector, podSelector } from '../plane/names.ts';
import { secretNames } from '../plane/secrets.ts';
import { containerSecurity, podSecurity } from '../plane/workloads.ts';
import { imagesOf } from '../spec.ts';
import type { Reporter } from '../ui/reporter.ts';
import { toolVersion } from '../version.ts';
import type { BackupHead } from './archive.ts';
import { whereabouts } from './create.ts';

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
}

export interface ScheduleRequest {
  /** Milliseconds. */
  every: number;
  keep: number;
  recipients: string[];
  /** A Kubernetes quantity: of the volume for the backups. */
  size: string;
  storageClass?: string;
  reporter: Reporter;
}

const scheduleName = 'k8sk8s-backup';
/** Annotation of the claim: the image that reads it, also when its plane is gone. */
export const nodeImage = 'k8sk8s.io/node-image';
/** It has no label of the plane, so that it stays when the plane goes. */
export const backupsClaim = 'k8sk8s-backups';
const cronJob = { apiVersion: 'batch/v1', kind: 'CronJob' };
const configMap = { apiVersion: 'v1', kind: 'ConfigMap' };
const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

/**
 * Lets the infra cluster back the plane up from time to time, onto a volume of the namespace. Run again, it changes what
 * was set.
 *
 * @returns the times, as cron writes them (UTC)
 */
export async function scheduleBackups(cluster: InfraCluster, request: ScheduleRequest): Promise<string> {
  const plane = await openPlane(cluster);
  const { planeId } = plane.record;
  const schedule = cronOf(request.every, Number.parseInt(planeId.slice(-4), 16));
  const { items: pods } = await cluster.pods(planeSelector(planeId));
  const config: JobConfig = {
    toolVersion: toolVersion(),
    namespace: cluster.namespace,
    addresses: whereabouts(plane, pods),
    etcdHosts: plane.addresses.etcdServiceIps,
    recipients: request.recipients,
    keep: request.keep,
  };
  const labels = labelsOf(planeId, 'record', plane.spec.kubernetesVersion);
  const program: ConfigMap = {
    ...configMap,
    metadata: { name: scheduleName, labels },
    data: {
      'job.json': `${JSON.stringify(config, null, 2)}\n`,
      'backup-job.mjs': readFileSync(packageFile('dist/backup-job.mjs'), 'utf8'),
    },
  };
  const apply = async <T extends KubeObject>(object: T) => {
    try {
      const before = await cluster.get(object, object.metadata.name);
      const after = await cluster.apply(object);
      if (before?.metadata.resourceVersion !== after.metadata.resourceVersion)
        request.reporter.line(`${nameOf(after)} ${before ? 'configured' : 'created'}`);
      return after;
    } catch (error) {
      throw explainInfraError(error, `apply ${nameOf(object)} in namespace "${cluster.namespace}"`);
    }
  };
  if (!(await cluster.get(claim, backupsClaim))) await apply(claimFor(request, imagesOf(plane.spec).node));
  const { metadata: owner } = await apply(program);
  const [job] = renderTemplate('host/backup-cronjob.yaml', {
    schedule,
    labels: podSelector(planeId, 'backup'),
    image: imagesOf(plane.spec).node,
    podSecurity,
    containerSecurity: containerSecurity(),
    secretMounts: secretNames.map((name) => ({ name, mountPath: `/secrets/${name}`, readOnly: true })),
    secretVolumes: secretNames.map((name) => ({
      name,
      secret: { secretName: name, defaultMode: 288, optional: true },
    })) as Value[],
  });
  // With the ConfigMap, which carries the plane's labels, the CronJob goes too.
  job!.metadata.ownerReferences = [{ ...configMap, name: owner.name, uid: owner.uid! }];
  await apply(job!);
  return schedule;
}

/** Ends the schedule; the backups stay. @returns false when there was none */
export async function unscheduleBackups(cluster: InfraCluster): Promise<boolean> {
  const gone = await cluster.delete(cronJob, scheduleName);
  return (await cluster.delete(configMap, scheduleName)) || gone;
}

function claimFor({ size, storageClass }: ScheduleRequest, image: string): PersistentVolumeClaim {
  return {
    ...claim,
    metadata: { name: backupsClaim, annotations: { [nodeImage]: image } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  };
}

/**
 * A length of time as cron can say it, at a minute that differs from plane to plane. Pure.
 *
 * @throws UserError for one that does not divide an hour or a day
 */
export function cronOf(every: number, seed: number): string {
  const minutes = every / 60_000;
  const divides = (whole: number, part: number) => Number.isInteger(part) && whole % part === 0;
  if (minutes >= 5 && minutes < 60 && divides(60, minutes)) return `*/${minutes} * * * *`;
  const hours = minutes / 60;
  const minute = seed % 60;
  if (hours === 1) return `${minute} * * * *`;
  if (hours > 1 && hours < 24 && divides(24, hours)) return `${minute} */${hours} * * *`;
  if (hours === 24) return `${minute} ${seed % 24} * * *`;
  throw new UserError({
    what: '--every is not a time that divides an hour or a day',
    fix: 'give 5m, 10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d',
    anchor: 'bad-values',
    exitCode: 2,
  });
}
