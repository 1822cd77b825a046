import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { HostedAccess } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';

const node = 'hollow';
const namespace = 'default';
const limit = 600_000;
const podKind = { apiVersion: 'v1', kind: 'Pod' };

/**
 * Runs pods on one hollow node. Upstream's kubemark is a kubelet that reports containers as running and starts none, so the
 * measurement has the API server, etcd and the requests of a kubelet. The pods name their node, so no scheduler is needed.
 *
 * @param program kubemark
 * @returns how many pods became Running in a second
 */
export async function runHollowPods(
  program: string,
  access: HostedAccess,
  cluster: HostedCluster,
  pods: number,
): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-hollow-'));
  const kubeconfig = buildKubeconfig({ ...access, clusterName: 'bench', userName: node });
  writeFileSync(path.join(folder, 'kubeconfig'), kubeconfig, { mode: 0o600 });
  const log = openSync(path.join(folder, 'log'), 'w');
  const child = spawn(
    'unshare',
    [
      // kubemark leaves a folder and a socket in /tmp, whatever TMPDIR says.
      '--mount',
      'sh',
      '-c',
      'mount --bind "$0" /tmp && exec "$@"',
      folder,
      program,
      '--morph=kubelet',
      `--name=${node}`,
      '--kubeconfig=/tmp/kubeconfig',
      `--max-pods=${pods + 10}`,
      '--use-host-image-service=false',
      '--kubelet-port=0',
      '--kubelet-read-only-port=0',
      // This is the kubelet's default.
      '--kube-api-qps=50',
      '--kube-api-burst=100',
    ],
    { stdio: ['ignore', log, log], cwd: folder },
  );
  closeSync(log);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const until = async (what: string, reached: () => Promise<boolean>) => {
    const deadline = Date.now() + limit;
    while (!(await reached())) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(
          `${what} is not there in time:\n${readFileSync(path.join(folder, 'log'), 'utf8').slice(-1500)}`,
        );
      await sleep(250);
    }
  };
  try {
    await until('the hollow node', async () => {
      const found = await cluster.get({ apiVersion: 'v1', kind: 'Node' }, node);
      return found !== undefined;
    });
    await until('the default service account', async () => {
      const found = await cluster.get({ apiVersion: 'v1', kind: 'ServiceAccount' }, 'default', namespace);
      return found !== undefined;
    });
    const from = performance.now();
    const many = pLimit(16);
    await Promise.all(Array.from({ length: pods }, (_, index) => many(() => cluster.create(pod(index)))));
    await until('a pod', async () => {
      const { items } = await cluster.list(podKind, { namespace, fieldSelector: 'status.phase=Running' });
      return items.length === pods;
    });
    return (pods / (performance.now() - from)) * 1000;
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

function pod(index: number) {
  return {
    ...podKind,
    metadata: { name: `hollow-${index}`, namespace },
    spec: {
      nodeName: node,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'nothing', image: 'registry.k8s.io/pause:3.10' }],
    },
  };
}
