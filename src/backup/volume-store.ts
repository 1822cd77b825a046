import { PassThrough, type Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import type { ExecResult } from '../kube/exec.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { PersistentVolumeClaim } from '../kube/objects.ts';
import { type Failed, lastLines, oneOff, podKind, removePod, waitForPod } from '../live/one-off-pod.ts';
import { isRunning } from '../live/pod-problems.ts';
import type { Likeness } from '../plane/placement.ts';
import { containerSecurity, podSecurity } from '../plane/pod-security.ts';
import type { Patience } from '../ui/work.ts';
import { backupsClaim, claimKind, nodeImage, podLikeness } from './cronjob.ts';
import type { BackupStore, StoredBackup } from './store.ts';

const podName = 'k8sk8s-backups';
const container = 'store';
const folder = '/backups';

/**
 * Runs `work` with the volume of `backup schedule`, which a pod mounts and reads.
 *
 * @throws UserError `no-backups`, `backup-volume`
 */
export function withVolume<T>(
  cluster: InfraCluster,
  request: Patience,
  work: (store: BackupStore) => Promise<T>,
): Promise<T> {
  return withPod(cluster, request, (run) =>
    work({
      where: 'the volume',
      list: () => namesIn(run),
      content: async (backup) => contentOf(run, backup),
    }),
  );
}

type Run = (script: string, onStdout?: (chunk: Buffer) => Promise<void>) => Promise<ExecResult>;

async function namesIn(run: Run): Promise<StoredBackup[]> {
  const { stdout } = await run(`
const fs = require('node:fs');
const names = fs.readdirSync('${folder}').filter((name) => name.endsWith('.backup')).sort();
console.log(JSON.stringify(names.map((name) => ({ name, size: fs.statSync('${folder}/' + name).size }))));`);
  return JSON.parse(stdout) as StoredBackup[];
}

/** The command's output; what nobody reads yet waits in the pod. */
function contentOf(run: Run, { name }: StoredBackup): Readable {
  const content = new PassThrough();
  const script = `require('node:fs').createReadStream(${JSON.stringify(`${folder}/${name}`)}).pipe(process.stdout)`;
  const write = (chunk: Buffer) => new Promise<void>((taken) => content.write(chunk, () => taken()));
  run(script, write).then(
    () => content.end(),
    (error: Error) => content.destroy(error),
  );
  return content;
}

/** Runs `work` with a pod that mounts the volume. */
async function withPod<T>(cluster: InfraCluster, request: Patience, work: (run: Run) => Promise<T>): Promise<T> {
  const claim = await cluster.get<PersistentVolumeClaim>(claimKind, backupsClaim);
  const image = claim?.metadata.annotations?.[nodeImage];
  if (!image)
    throw new UserError({
      what: `namespace "${cluster.namespace}" has no volume of backups`,
      fix: words`schedule backups: ${command('backup schedule', cluster.namespace, option('every', '1h'), option('recipient', 'age1…'))}; for backups in a bucket add ${option('from', 's3://BUCKET[/PREFIX]')}`,
      anchor: 'no-backups',
      kind: 'refused',
    });
  await removePod(cluster, podName, request, volumeError(cluster));
  const remembered = claim.metadata.annotations?.[podLikeness];
  const pod = buildPod(image, remembered === undefined ? unlike : (JSON.parse(remembered) as Likeness));
  await cluster.create(pod);
  try {
    await waitForPod(cluster, pod, request, (now) => isRunning(now, container), volumeError(cluster));
    return await work(async (script, onStdout) => {
      const result = await cluster.exec(podName, ['node', '-e', script], {
        container,
        onStdout,
        timeout: 24 * 3600 * 1000,
        signal: request.signal,
      });
      if (result.code !== 0) throw volumeError(cluster)(lastLines(result.stderr));
      return result;
    });
  } finally {
    await cluster.delete(podKind, podName).catch(() => undefined);
  }
}

/** Of a claim that an earlier version made. */
const unlike: Likeness = { metadata: {}, spec: { securityContext: podSecurity({}) } };

function buildPod(image: string, like: Likeness) {
  return {
    ...podKind,
    metadata: { ...like.metadata, name: podName },
    spec: {
      ...like.spec,
      ...oneOff,
      // A forgotten pod ends by itself.
      activeDeadlineSeconds: 24 * 3600,
      containers: [
        {
          name: container,
          image,
          command: ['node', '-e', 'setInterval(() => undefined, 60000)'],
          securityContext: containerSecurity(),
          resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
          volumeMounts: [{ name: 'backups', mountPath: folder }],
        },
      ],
      volumes: [{ name: 'backups', persistentVolumeClaim: { claimName: backupsClaim } }],
    },
  };
}

function volumeError({ namespace }: InfraCluster): Failed {
  return (why) =>
    new UserError({
      what: 'the volume of backups cannot be read',
      why,
      fix: `look at: kubectl -n ${namespace} describe pvc/${backupsClaim} pod/${podName}`,
      anchor: 'backup-volume',
    });
}
