import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import type { ExecResult } from '../kube/exec.ts';
import type { PersistentVolumeClaim, Pod } from '../kube/objects.ts';
import { containerSecurity, podSecurity } from '../plane/workloads.ts';
import { backupsClaim, claimKind, nodeImage } from './cronjob.ts';
import type { KeptBackup, Shelf } from './shelf.ts';

export interface VolumeRequest {
  /** Milliseconds until the pod has to run. */
  timeout: number;
  signal: AbortSignal;
}

const podKind = { apiVersion: 'v1', kind: 'Pod' };
const podName = 'k8sk8s-backups';
const folder = '/backups';

/**
 * Runs `work` with the volume of `backup schedule`, which a pod reads.
 *
 * @throws UserError `no-backups`, `backup-volume`
 */
export function withVolume<T>(
  cluster: InfraCluster,
  request: VolumeRequest,
  work: (shelf: Shelf) => Promise<T>,
): Promise<T> {
  return withPod(cluster, request, (run) =>
    work({
      where: 'the volume',
      list: () => namesIn(run),
      content: async (backup) => Readable.from(contentOf(run, backup)),
    }),
  );
}

type Run = (script: string, onStdout?: (chunk: Buffer) => Promise<void>) => Promise<ExecResult>;

async function namesIn(run: Run): Promise<KeptBackup[]> {
  const { stdout } = await run(`
const fs = require('node:fs');
const names = fs.readdirSync('${folder}').filter((name) => name.endsWith('.backup')).sort();
console.log(JSON.stringify(names.map((name) => ({ name, size: fs.statSync('${folder}/' + name).size }))));`);
  return JSON.parse(stdout) as KeptBackup[];
}

/** The command's output as a stream that is read no faster than it is taken. */
async function* contentOf(run: Run, { name }: KeptBackup): AsyncGenerator<Buffer> {
  const waiting: { chunk: Buffer; taken: () => void }[] = [];
  let wake: () => void = () => undefined;
  let ended = false;
  const done = run(
    `require('node:fs').createReadStream(${JSON.stringify(`${folder}/${name}`)}).pipe(process.stdout)`,
    (chunk) =>
      new Promise((taken) => {
        waiting.push({ chunk, taken });
        wake();
      }),
  ).finally(() => {
    ended = true;
    wake();
  });
  done.catch(() => undefined);
  for (;;) {
    const next = waiting.shift();
    if (next) {
      yield next.chunk;
      next.taken();
    } else if (ended) break;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  await done;
}

/** Runs `work` with a pod that has the volume. */
async function withPod<T>(
  cluster: InfraCluster,
  { timeout, signal }: VolumeRequest,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const claim = await cluster.get<PersistentVolumeClaim>(claimKind, backupsClaim);
  const image = claim?.metadata.annotations?.[nodeImage];
  if (!image)
    throw new UserError({
      what: `namespace "${cluster.namespace}" has no volume of backups`,
      fix: `make some: k8sk8s backup schedule -n ${cluster.namespace} --every 1h --recipient age1…; for those in a bucket add --from s3://BUCKET[/PREFIX]`,
      anchor: 'no-backups',
      exitCode: 2,
    });
  await cluster.delete(podKind, podName);
  while (await cluster.get(podKind, podName)) await sleep(200, undefined, { signal });
  await cluster.create(buildPod(image));
  try {
    await untilRunning(cluster, timeout, signal);
    return await work(async (script, onStdout) => {
      const result = await cluster.exec(podName, ['node', '-e', script], {
        onStdout,
        timeout: 24 * 3600 * 1000,
        signal,
      });
      if (result.code !== 0) throw shelfError(cluster, result.stderr.trim().slice(-300));
      return result;
    });
  } finally {
    await cluster.delete(podKind, podName).catch(() => undefined);
  }
}

function buildPod(image: string) {
  return {
    ...podKind,
    metadata: { name: podName },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      // One that is forgotten ends by itself.
      activeDeadlineSeconds: 24 * 3600,
      securityContext: podSecurity,
      containers: [
        {
          name: 'shelf',
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

async function untilRunning(cluster: InfraCluster, timeout: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const pod = await cluster.get<Pod>(podKind, podName);
    const state = pod?.status?.containerStatuses?.[0]?.state;
    if (state?.running) return;
    if (Date.now() > deadline) {
      const scheduled = pod?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
      const why = state?.waiting?.message ?? state?.waiting?.reason ?? scheduled?.message ?? pod?.status?.phase;
      throw shelfError(cluster, `its pod does not run after ${Math.round(timeout / 1000)} s: ${why ?? 'it is gone'}`);
    }
    await sleep(200, undefined, { signal });
  }
}

function shelfError({ namespace }: InfraCluster, why: string): UserError {
  return new UserError({
    what: 'the volume of backups cannot be read',
    why,
    fix: `look at: kubectl -n ${namespace} describe pvc ${backupsClaim}`,
    anchor: 'backup-volume',
  });
}
