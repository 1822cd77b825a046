import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import type { ExecResult } from '../kube/exec.ts';
import type { PersistentVolumeClaim, Pod } from '../kube/objects.ts';
import { containerSecurity, podSecurity } from '../plane/workloads.ts';
import { wholeFile } from './file.ts';
import { backupsClaim, nodeImage } from './schedule.ts';

export interface ShelfRequest {
  /** Milliseconds until the pod has to run. */
  timeout: number;
  signal: AbortSignal;
}

export interface KeptBackup {
  name: string;
  /** Bytes. */
  size: number;
}

const podKind = { apiVersion: 'v1', kind: 'Pod' };
const podName = 'k8sk8s-backups';
const folder = '/backups';

/** The backups on the volume of `backup schedule`, the oldest first. @throws UserError `no-backups`, `backup-volume` */
export async function listKept(cluster: InfraCluster, request: ShelfRequest): Promise<KeptBackup[]> {
  return atShelf(cluster, request, (run) => namesIn(run));
}

/**
 * Brings a backup from the volume into a file.
 *
 * @param name undefined for the newest
 * @returns its name
 */
export async function fetchKept(
  cluster: InfraCluster,
  name: string | undefined,
  file: string,
  request: ShelfRequest,
): Promise<KeptBackup> {
  return atShelf(cluster, request, async (run) => {
    const kept = await namesIn(run);
    const wanted = name === undefined ? kept.at(-1) : kept.find((each) => each.name === name);
    if (!wanted)
      throw new UserError({
        what:
          name === undefined ? 'there is no backup on the volume yet' : `there is no backup "${name}" on the volume`,
        why:
          kept.length > 0
            ? `there are ${kept.map((each) => each.name).join(', ')}`
            : 'its CronJob has not run yet, or failed',
        fix: `look at: kubectl -n ${cluster.namespace} get jobs`,
        anchor: 'no-backups',
      });
    await wholeFile(file, (write) => write(Readable.from(contentOf(run, wanted))));
    return wanted;
  });
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
async function* contentOf(run: Run, { name, size }: KeptBackup): AsyncGenerator<Buffer> {
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
  let sent = 0;
  for (;;) {
    const next = waiting.shift();
    if (next) {
      sent += next.chunk.length;
      yield next.chunk;
      next.taken();
    } else if (ended) break;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  await done;
  if (sent !== size) throw new Error(`${sent} of ${size} bytes came`);
}

/** Runs `work` with a pod that has the volume. */
async function atShelf<T>(
  cluster: InfraCluster,
  { timeout, signal }: ShelfRequest,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const claim = await cluster.get<PersistentVolumeClaim>(
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
    backupsClaim,
  );
  const image = claim?.metadata.annotations?.[nodeImage];
  if (!image)
    throw new UserError({
      what: `namespace "${cluster.namespace}" has no volume of backups`,
      fix: `make some: k8sk8s backup schedule -n ${cluster.namespace} --every 1h --recipient age1…`,
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
