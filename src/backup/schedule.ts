import { UserError } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { option, words } from '../base/words.ts';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, KubeObject, Secret } from '../kube/objects.ts';
import { nameOf } from '../kube/objects.ts';
import { refuseOfObject } from '../live/followed.ts';
import { asOwner } from '../live/lifetime.ts';
import { openPlane } from '../live/open.ts';
import { labelsOf, objectAnnotation, planeSelector } from '../plane/names.ts';
import type { Reporter } from '../ui/reporter.ts';
import { addressesForBackup } from './create.ts';
import {
  backupsClaim,
  buildClaim,
  buildConfig,
  buildCronJob,
  buildPolicy,
  claimAnnotations,
  claimKind,
  configMapKind,
  cronJobKind,
  policyKind,
  scheduleName,
} from './cronjob.ts';
import type { JobConfig } from './job/config.ts';
import { type BucketKeys, type BucketLocation, bucketKeys } from './location.ts';

/** Where a schedule stores backups: a volume of the namespace (size as a Kubernetes quantity), or a bucket. */
export type Destination =
  | { kind: 'volume'; size: string; storageClass?: string }
  | { kind: 'bucket'; location: BucketLocation; secret: string };

export interface ScheduleRequest {
  /** Milliseconds. */
  every: number;
  keep: number;
  recipients: string[];
  to: Destination;
  /** Image of k8sk8s itself; absent: Node's image, with the program in a ConfigMap. */
  image?: string;
  reporter: Reporter;
}

/** The schedule that was created. */
export interface Scheduled {
  /** In cron's syntax (UTC). */
  times: string;
  /** The plane sleeps, so no backup is possible before it wakes. */
  asleep: boolean;
}

/**
 * Creates or changes the schedule by which the infra cluster makes backups of the plane.
 *
 * @throws UserError `bucket-keys` when the Secret for the bucket is missing or incomplete, `plane-follows-object`
 */
export async function scheduleBackups(cluster: InfraCluster, request: ScheduleRequest): Promise<Scheduled> {
  const { to, image } = request;
  const [plane, owned] = await Promise.all([openPlane(cluster), asOwner(cluster)]);
  const { planeId } = plane.record;
  await refuseOfObject(cluster, await cluster.get<ConfigMap>(configMapKind, scheduleName));
  const times = cronOf(request.every, Number.parseInt(planeId.slice(-4), 16));
  if (to.kind === 'bucket') await keysOfSecret(cluster, to.secret);
  const { items: pods } = await cluster.pods(planeSelector(planeId));
  const config: JobConfig = {
    toolVersion: toolVersion(),
    namespace: cluster.namespace,
    addresses: addressesForBackup(plane, pods),
    etcdHosts: plane.addresses.etcdServiceIps,
    recipients: request.recipients,
    keep: request.keep,
    ...(to.kind === 'bucket' && { bucket: { ...to.location, secret: to.secret } }),
  };
  const apply = async <T extends KubeObject>(object: T, as = owned) => {
    try {
      const before = await cluster.get(object, object.metadata.name);
      const after = await as.apply(object);
      if (before?.metadata.resourceVersion !== after.metadata.resourceVersion)
        request.reporter.line(`${nameOf(after)} ${before ? 'configured' : 'created'}`);
      return after;
    } catch (error) {
      throw explainCallError(error, `apply ${nameOf(object)} in namespace "${cluster.namespace}"`);
    }
  };
  if (to.kind === 'volume') {
    const claim = await cluster.get(claimKind, backupsClaim);
    // Backups outlive their plane, and its object.
    if (!claim) await apply(buildClaim(to.size, to.storageClass, plane.spec), cluster.ownedBy(undefined));
    else await cluster.merge(claimKind, backupsClaim, { metadata: remembered(claim, plane.spec) });
  }
  const owner = await apply(
    followingObject(
      cluster,
      await buildConfig(config, labelsOf(planeId, 'record', plane.spec.kubernetesVersion), image),
    ),
  );
  if (plane.spec.policyTypes === 'Ingress') await cluster.delete(policyKind, scheduleName);
  else await apply(buildPolicy(planeId, config, owner));
  await apply(buildCronJob(plane.spec, planeId, times, config, owner, image));
  return { times, asleep: plane.record.asleep !== undefined };
}

/** A schedule that an object made ends when the object says so. */
function followingObject({ object }: InfraCluster, config: ConfigMap): ConfigMap {
  if (object === undefined) return config;
  return { ...config, metadata: { ...config.metadata, annotations: { [objectAnnotation]: object } } };
}

/**
 * Removes the schedule; the backups stay.
 *
 * @returns false when there was none
 * @throws UserError `plane-follows-object`
 */
export async function unscheduleBackups(cluster: InfraCluster): Promise<boolean> {
  await refuseOfObject(cluster, await cluster.get<ConfigMap>(configMapKind, scheduleName));
  const gone = await cluster.delete(cronJobKind, scheduleName);
  await cluster.delete(policyKind, scheduleName);
  return (await cluster.delete(configMapKind, scheduleName)) || gone;
}

/** The settings of the namespace's schedule; undefined when there is none. */
export async function readSchedule(cluster: InfraCluster): Promise<JobConfig | undefined> {
  const text = (await cluster.get<ConfigMap>(configMapKind, scheduleName))?.data?.['job.json'];
  return text === undefined ? undefined : (JSON.parse(text) as JobConfig);
}

/** Where the scheduled backups of the namespace may be. */
export interface BackupLocations {
  /** The bucket of the present schedule. */
  bucket?: BucketLocation;
  /** Whether the volume for backups exists. */
  volume: boolean;
}

export async function backupLocations(cluster: InfraCluster): Promise<BackupLocations> {
  const [schedule, claim] = await Promise.all([readSchedule(cluster), cluster.get(claimKind, backupsClaim)]);
  return { bucket: schedule?.bucket, volume: claim !== undefined };
}

/** The keys for the bucket, from a Secret of the namespace. @throws UserError `bucket-keys` */
export async function keysOfSecret(cluster: InfraCluster, name: string): Promise<BucketKeys> {
  const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, name);
  if (!secret)
    throw new UserError({
      what: `there is no Secret "${name}" in namespace "${cluster.namespace}"`,
      why: 'the pods that make the backups mount it, and sign their requests to the bucket with its keys',
      fix: `create it: kubectl -n ${cluster.namespace} create secret generic ${name} --from-literal=AWS_ACCESS_KEY_ID=… --from-literal=AWS_SECRET_ACCESS_KEY=…`,
      anchor: 'bucket-keys',
      kind: 'refused',
    });
  return bucketKeys((key) => {
    const value = secret.data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
  }, `the Secret "${name}"`);
}

/**
 * An interval in cron's syntax, at a minute that differs from plane to plane. Pure.
 *
 * @throws UserError for an interval that does not divide an hour or a day
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
    what: words`${option('every')} is not a time that divides an hour or a day`,
    fix: 'give 5m, 10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

/** What a claim that is there has to say of its plane, and that it goes with no object. Pure. */
function remembered({ metadata: { ownerReferences } }: KubeObject, spec: ClusterSpec): object {
  const owners = ownerReferences?.filter(({ kind }) => kind !== hostedControlPlane.kind);
  return {
    annotations: claimAnnotations(spec),
    ...(owners && owners.length < ownerReferences!.length && { ownerReferences: owners }),
  };
}
