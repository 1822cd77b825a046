import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import type { ContainerStatus, KubeObject, PersistentVolumeClaim, Pod, Secret } from '../kube/objects.ts';
import { authoritiesSecret } from '../plane/secrets.ts';
import { claimName, claimTemplate, dataVolume, type Volume } from '../plane/storage.ts';

/** Revisions that a restored store is ahead of its snapshot: nobody can have seen more changes in between. */
const bumpedRevisions = 1_000_000_000;

/** What the storage of a member that does not run yet is filled from. */
export interface Seed {
  planeId: string;
  /** StatefulSet etcd as it will be applied. */
  workload: KubeObject;
  storage: Volume;
  /** Of Node.js, for what etcd's image, which has no shell, cannot do. */
  nodeImage: string;
  snapshot: { size: number; open(): Readable };
  /** Milliseconds until the pod has to run. */
  timeout: number;
  /** Told how many bytes have been sent. */
  progress(bytes: number): void;
  signal: AbortSignal;
}

const podKind = { apiVersion: 'v1', kind: 'Pod' };
const podName = 'k8sk8s-restore';
const member = 0;

/**
 * Makes the claim of etcd's first member and fills it from a snapshot, by etcdutl of etcd's own image. All watchers have
 * to list again: the revision is far ahead of all that were ever given out, and what was before counts as compacted.
 * (Of one member: with more, each has a claim and a name of its own, and all are filled from the same snapshot.)
 *
 * @throws UserError `restore-failed` with what the pod said
 */
export async function seedEtcd(cluster: InfraCluster, seed: Seed): Promise<void> {
  const owner = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, authoritiesSecret);
  // One that an earlier, killed run left would take this run's snapshot for another's claim.
  await cluster.delete(podKind, podName);
  await until(cluster, seed, () => false, 'gone');
  await cluster.create(claimOf(seed));
  await cluster.create(buildPod(seed, owner!));
  try {
    await until(cluster, seed, (pod) => pod.status?.initContainerStatuses?.[0]?.state?.running !== undefined);
    await send(cluster, seed);
    await until(cluster, seed, (pod) => pod.status?.phase === 'Succeeded');
  } finally {
    await cluster.delete(podKind, podName).catch(() => undefined);
  }
  // The volume is for one pod at a time.
  await until(cluster, seed, () => false, 'gone');
}

function claimOf({ planeId, storage }: Seed): PersistentVolumeClaim {
  const { metadata, spec } = claimTemplate(planeId, storage);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...metadata, name: claimName(member) },
    spec,
  };
}

const incoming = '/incoming';
const snapshotFile = `${incoming}/snapshot.db`;
const dataDir = '/var/lib/etcd';

/** Waits for the snapshot, which `takeIn` brings. */
const wait = `setInterval(() => require('node:fs').existsSync('${snapshotFile}') && process.exit(0), 200)`;

/** A snapshot that is whole gets its name; one that is cut off comes to its end like one that is not. */
const takeIn = (size: number) => `
const fs = require('node:fs');
const part = '${snapshotFile}.part';
process.stdin.pipe(fs.createWriteStream(part)).on('close', () => {
  if (fs.statSync(part).size !== ${size}) throw new Error('it ended too early');
  fs.renameSync(part, '${snapshotFile}');
});`;

interface Container {
  name: string;
  image: string;
  args: string[];
  env?: object[];
  resources?: object;
  securityContext?: object;
}

interface Template extends KubeObject {
  spec: { template: { spec: { containers: Container[]; [field: string]: unknown } } };
}

/** A pod that takes a snapshot in and fills the claim; it is placed and admitted as etcd's. Pure. */
function buildPod(seed: Seed, owner: Secret) {
  const { containers, nodeSelector, tolerations, imagePullSecrets, securityContext } = (seed.workload as Template).spec
    .template.spec;
  const etcd = containers[0]!;
  const { resources, securityContext: containerSecurity } = etcd;
  const common = { ...(resources && { resources }), securityContext: containerSecurity };
  const place = { nodeSelector, tolerations, imagePullSecrets, securityContext };
  const mounts = [
    { name: 'incoming', mountPath: incoming },
    { name: dataVolume, mountPath: dataDir },
  ];
  return {
    ...podKind,
    metadata: {
      name: podName,
      // Deleted with the plane's objects when nobody does it before.
      ownerReferences: [
        { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid! },
      ],
    },
    spec: {
      ...Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined)),
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      initContainers: [
        { name: 'receive', image: seed.nodeImage, command: ['node', '-e', wait], volumeMounts: mounts, ...common },
      ],
      containers: [
        {
          name: 'restore',
          image: etcd.image,
          command: ['etcdutl', 'snapshot', 'restore', snapshotFile],
          args: [
            ...etcd.args.filter((arg) =>
              /^--(name|data-dir|initial-(cluster|cluster-token|advertise-peer-urls))=/.test(arg),
            ),
            `--bump-revision=${bumpedRevisions}`,
            '--mark-compacted',
          ],
          env: [{ name: 'POD_NAME', value: `etcd-${member}` }],
          volumeMounts: mounts,
          ...common,
        },
      ],
      volumes: [
        { name: 'incoming', emptyDir: {} },
        { name: dataVolume, persistentVolumeClaim: { claimName: claimName(member) } },
      ],
    },
  };
}

/** A day: how long bytes may take is not ours to say, and whoever waits can end it. */
const longestSending = 24 * 3600 * 1000;

async function send(cluster: InfraCluster, { snapshot, progress, signal }: Seed): Promise<void> {
  let sent = 0;
  const counted = async function* () {
    for await (const chunk of snapshot.open()) {
      yield chunk as Buffer;
      sent += (chunk as Buffer).length;
      progress(sent);
    }
  };
  const { code, stderr } = await cluster.exec(podName, ['node', '-e', takeIn(snapshot.size)], {
    container: 'receive',
    stdin: Readable.from(counted()),
    timeout: longestSending,
    signal,
  });
  if (code !== 0) throw restoreFailed(cluster, `the snapshot did not arrive: ${lastLines(stderr)}`);
}

const hopeless = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
]);

async function until(
  cluster: InfraCluster,
  { timeout, signal }: Seed,
  reached: (pod: Pod) => boolean,
  gone?: 'gone',
): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    signal.throwIfAborted();
    const pod = await cluster.get<Pod>(podKind, podName);
    if (!pod && gone) return;
    if (!pod) throw restoreFailed(cluster, `its pod ${podName} was deleted by somebody else`);
    if (reached(pod)) return;
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    const failed = statuses.find((status) => (status.state?.terminated?.exitCode ?? 0) !== 0);
    if (failed && !gone) throw restoreFailed(cluster, await lastWords(cluster, failed));
    const stuck = statuses.find(({ state }) => hopeless.has(state?.waiting?.reason ?? ''))?.state?.waiting;
    if (stuck) throw restoreFailed(cluster, `${stuck.reason}: ${stuck.message ?? ''}`);
    if (Date.now() > deadline)
      throw restoreFailed(cluster, `${waitsFor(pod, statuses)} after ${Math.round(timeout / 1000)} s`);
    await sleep(200, undefined, { signal });
  }
}

function waitsFor(pod: Pod, statuses: ContainerStatus[]): string {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') return `its pod has no node: ${scheduled.message ?? ''}`;
  const waiting = statuses.find(({ state }) => state?.waiting)?.state?.waiting;
  return `its pod is still ${pod.status?.phase ?? 'Pending'}${waiting?.reason ? ` (${waiting.reason})` : ''}`;
}

async function lastWords(cluster: InfraCluster, { name, state }: ContainerStatus): Promise<string> {
  const log = await cluster.log(podName, { container: name, tailLines: 8 }).catch(() => '');
  return `container ${name} ended with exit code ${state?.terminated?.exitCode}: ${lastLines(log)}`;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-4).join('\n').slice(-600);
}

function restoreFailed({ namespace }: InfraCluster, why: string): UserError {
  return new UserError({
    what: "etcd's storage could not be filled from the backup",
    why,
    fix: `mend what is named there and run the same command again: it begins anew; to give up: k8sk8s destroy -n ${namespace}`,
    anchor: 'restore-failed',
  });
}
