import { Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, PersistentVolumeClaim, Secret, StatefulSet } from '../kube/objects.ts';
import { type Failed, lastLines, oneOff, podKind, removePod, waitForPod } from '../live/one-off-pod.ts';
import { containerStatus, hasSucceeded, isRunning } from '../live/pod-problems.ts';
import { authoritiesSecret, claimName, dataVolume } from '../plane/names.ts';
import { likeTemplate } from '../plane/placement.ts';
import { claimTemplate, type Storage, type Volume } from '../plane/storage.ts';
import { waitFor } from '../ui/wait-for.ts';

/** How far the revision of a restored store is ahead of its snapshot; no client can have seen more changes since the snapshot. */
const bumpedRevisions = 1_000_000_000;

/** The source for the storage of a member that does not run yet. */
export interface Seed {
  planeId: string;
  /** Number of the member. */
  member: number;
  /** The StatefulSet etcd that will be applied. */
  workload: KubeObject;
  storage: Storage;
  /** Image of Node.js, for the steps that etcd's image cannot do without a shell. */
  nodeImage: string;
  snapshot: { size: number; open(): Readable };
  /** Milliseconds until a pod has to run. */
  timeout: number;
  /** Gets the number of bytes sent so far. */
  progress(bytes: number): void;
  signal: AbortSignal;
}

/** The pod that fills a claim; the pod of a killed run may still use the claim. */
export const seedPod = { ...podKind, metadata: { name: 'k8sk8s-restore' } };

/**
 * Fills the storage of an etcd member from a snapshot, by etcdutl of etcd's own image, before its StatefulSet is applied.
 * All watchers have to list again: the revision is far ahead of all that clients have seen, and earlier revisions count as
 * compacted. The member is the only one of its cluster; others join later.
 *
 * @throws UserError `restore-failed` with the pod's message
 */
export async function seedEtcd(cluster: InfraCluster, seed: Seed): Promise<void> {
  const owner = (await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, authoritiesSecret))!;
  if (seed.storage.kind === 'volume') await fillClaim(cluster, seed, seed.storage, owner);
  else await startFilled(cluster, seed, owner);
}

/** A pod of its own fills the claim and is then deleted. */
async function fillClaim(cluster: InfraCluster, seed: Seed, volume: Volume, owner: Secret): Promise<void> {
  const pod = claimPod(seed, owner);
  // A pod of an earlier, killed run would take this run's snapshot into another claim.
  await removePod(cluster, pod.metadata.name, seed, restoreFailed(cluster));
  const { metadata, spec } = claimTemplate(seed.planeId, volume);
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...metadata, name: claimName(seed.member) },
  };
  await cluster.create<PersistentVolumeClaim>({ ...claim, spec });
  await cluster.create(pod);
  try {
    await take(cluster, seed, pod);
    await waitForPod(cluster, pod, seed, (now) => hasSucceeded(now, 'place'), restoreFailed(cluster));
  } finally {
    await cluster.delete(podKind, pod.metadata.name).catch(() => undefined);
  }
  // Only one pod at a time can use the volume.
  await removePod(cluster, pod.metadata.name, seed, restoreFailed(cluster));
}

/**
 * An ephemeral member's data is in its pod, so the member's own pod has to receive it. The pod is created as the StatefulSet
 * would create it, with steps before etcd, and with the name of the template's revision. So the StatefulSet adopts it later as
 * its first pod, and has nothing to replace.
 */
async function startFilled(cluster: InfraCluster, seed: Seed, owner: Secret): Promise<void> {
  const pod = memberPod(seed, await revisionOf(cluster, seed), owner);
  await removePod(cluster, pod.metadata.name, seed, restoreFailed(cluster));
  await cluster.create(pod);
  await take(cluster, seed, pod);
  await waitForPod(cluster, pod, seed, (now) => containerStatus(now, 'etcd')?.ready === true, restoreFailed(cluster));
}

/** Only the infra cluster can compute a template's revision, which is a hash of the template. */
async function revisionOf(cluster: InfraCluster, { workload, timeout, signal }: Seed): Promise<string> {
  const { name } = workload.metadata;
  const none = { ...workload, spec: { ...(workload as Template).spec, replicas: 0 } };
  await cluster.apply(none);
  let revision: string | undefined;
  return waitFor({
    until: async () => {
      const now = await cluster.get<StatefulSet>(workload, name);
      if (revision !== undefined && !now) return revision;
      const { observedGeneration, updateRevision } = now?.status ?? {};
      if (revision === undefined && updateRevision && observedGeneration === now?.metadata.generation) {
        revision = updateRevision;
        await cluster.delete(workload, name, now?.metadata.uid);
      }
      return undefined;
    },
    timeout,
    every: 100,
    signal,
    late: (after) => restoreFailed(cluster)(`the infra cluster has not processed statefulset "etcd" within ${after}`),
  });
}

const incoming = '/incoming';
const snapshotFile = `${incoming}/snapshot.db`;
const dataDir = '/var/lib/etcd';

const [data, restored] = [`${dataDir}/data`, `${dataDir}/restored`];

/**
 * Waits for the snapshot, which `takeIn` writes. A pod whose machine was restarted runs all steps again: the snapshot still
 * exists then, and so does etcd's data, which `place` leaves unchanged.
 */
const wait = `
const fs = require('node:fs');
fs.rmSync('${restored}', { recursive: true, force: true });
setInterval(() => fs.existsSync('${snapshotFile}') && process.exit(0), 200);`;

/** Only a complete snapshot gets the final name: the end of the input looks the same for one that was cut off. */
const takeIn = (size: number) => `
const fs = require('node:fs');
const part = '${snapshotFile}.part';
process.stdin.pipe(fs.createWriteStream(part)).on('close', () => {
  if (fs.statSync(part).size !== ${size}) throw new Error('it ended too early');
  fs.renameSync(part, '${snapshotFile}');
});`;

const place = `
const fs = require('node:fs');
if (fs.existsSync('${data}')) fs.rmSync('${restored}', { recursive: true });
else fs.renameSync('${restored}', '${data}');`;

interface Container {
  name: string;
  image: string;
  args: string[];
  resources?: object;
  securityContext?: object;
}

interface Template extends KubeObject {
  spec: {
    serviceName: string;
    template: {
      metadata: { labels: Record<string, string>; annotations: Record<string, string> };
      spec: { containers: Container[]; volumes: object[]; [field: string]: unknown };
    };
  };
}

type Step = ReturnType<typeof steps>[number];

/** The three steps receive, restore and place, each with the security settings of etcd's own container. */
function steps({ workload, nodeImage, member }: Seed) {
  const { containers } = (workload as Template).spec.template.spec;
  const { image, args, resources, securityContext } = containers.find(({ name }) => name === 'etcd')!;
  const common = {
    ...(resources && { resources }),
    securityContext,
    volumeMounts: [
      { name: 'incoming', mountPath: incoming },
      { name: dataVolume, mountPath: dataDir },
    ],
  };
  const identity = /^--(name|initial-(cluster|cluster-token|advertise-peer-urls))=/;
  return [
    { name: 'receive', image: nodeImage, command: ['node', '-e', wait], ...common },
    {
      name: 'restore',
      image,
      command: ['etcdutl', 'snapshot', 'restore', snapshotFile],
      args: [
        ...args.filter((arg) => identity.test(arg)),
        `--data-dir=${restored}`,
        `--bump-revision=${bumpedRevisions}`,
        '--mark-compacted',
      ],
      env: [{ name: 'POD_NAME', value: `etcd-${member}` }],
      ...common,
    },
    { name: 'place', image: nodeImage, command: ['node', '-e', place], ...common },
  ];
}

const incomingVolume = { name: 'incoming', emptyDir: {} };

/** The owner, with which it is deleted at the latest. */
function ownedBy({ apiVersion, kind, metadata: { name, uid } }: Secret) {
  return [{ apiVersion, kind, name, uid: uid! }];
}

type SeedPod = ReturnType<typeof claimPod> | ReturnType<typeof memberPod>;

/** A pod with the placement and security settings of etcd's pod. Pure. */
function claimPod(seed: Seed, owner: Secret) {
  const { template } = (seed.workload as Template).spec;
  const like = likeTemplate(template);
  // A volume on a node's disk binds the member to that node.
  const { affinity, hostAliases } = template.spec;
  const [receive, restore, last] = steps(seed) as [Step, Step, Step];
  return {
    ...podKind,
    metadata: { ...like.metadata, ...seedPod.metadata, ownerReferences: ownedBy(owner) },
    spec: {
      ...like.spec,
      ...(affinity !== undefined && { affinity }),
      ...(hostAliases !== undefined && { hostAliases }),
      ...oneOff,
      initContainers: [receive, restore],
      containers: [last],
      volumes: [incomingVolume, { name: dataVolume, persistentVolumeClaim: { claimName: claimName(seed.member) } }],
    },
  };
}

/** The pod that the StatefulSet would create, with the steps before its own container. Pure. */
function memberPod(seed: Seed, revision: string, owner: Secret) {
  const { serviceName, template } = (seed.workload as Template).spec;
  const name = `etcd-${seed.member}`;
  return {
    ...podKind,
    metadata: {
      name,
      labels: {
        ...template.metadata.labels,
        'controller-revision-hash': revision,
        'statefulset.kubernetes.io/pod-name': name,
        'apps.kubernetes.io/pod-index': String(seed.member),
      },
      annotations: template.metadata.annotations,
      ownerReferences: ownedBy(owner),
    },
    spec: {
      ...template.spec,
      hostname: name,
      subdomain: serviceName,
      initContainers: steps(seed),
      volumes: [...template.spec.volumes, incomingVolume],
    },
  };
}

/** A day: the time depends on the network, and the user can interrupt it. */
const longestSending = 24 * 3600 * 1000;

/** Sends the snapshot to the pod once the pod waits for it. */
async function take(cluster: InfraCluster, seed: Seed, pod: SeedPod): Promise<void> {
  const { snapshot, progress, signal } = seed;
  await waitForPod(cluster, pod, seed, (now) => isRunning(now, 'receive'), restoreFailed(cluster));
  let sent = 0;
  const counted = async function* () {
    for await (const chunk of snapshot.open()) {
      yield chunk as Buffer;
      sent += (chunk as Buffer).length;
      progress(sent);
    }
  };
  const { code, stderr } = await cluster.exec(pod.metadata.name, ['node', '-e', takeIn(snapshot.size)], {
    container: 'receive',
    stdin: Readable.from(counted()),
    timeout: longestSending,
    signal,
  });
  if (code !== 0) throw restoreFailed(cluster)(`the snapshot did not arrive: ${lastLines(stderr)}`);
}

function restoreFailed({ namespace }: InfraCluster): Failed {
  return (why) =>
    new UserError({
      what: "etcd's storage could not be filled from the snapshot",
      why,
      fix: words`fix the named cause (${command('status', namespace)}) and ${again}: it starts from the beginning`,
      anchor: 'restore-failed',
    });
}
