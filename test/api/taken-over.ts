import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { openingsOf } from '../../src/plane/components/kube-apiserver/identity.ts';
import { type Replica, waitTakenOver } from '../../src/rollout/taken-over.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import type { ControlPlane } from './control-plane.ts';

/** Writes a file of a folder in one moment, as a kubelet does. */
export function put(folder: string, name: string, content: string): void {
  const file = path.join(folder, name);
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
}

/** An API server that runs, and the folder of the files that it and its gate read. */
interface Running {
  plane: ControlPlane;
  /** With the rights of its administrator. */
  hosted: HostedCluster;
  folder: string;
}

/** What deploy does with another spec, as far as a plane without pods can: the openings of the gate, the API server's file, and the wait. */
export async function takeOver(
  { plane, hosted, folder }: Running,
  openings: ReturnType<typeof openingsOf>,
  file: 'authentication.yaml' | 'authorization.yaml',
  content: string,
  timeout = 40_000,
): Promise<void> {
  put(folder, 'openings.json', JSON.stringify(openings));
  put(folder, file, content);
  await untilTakenOver([replicaOf('kube-apiserver-0', plane, hosted)], file, content, timeout);
}

/** The wait alone. */
export async function untilTakenOver(
  replicas: Replica[],
  file: string,
  content: string,
  timeout: number,
): Promise<void> {
  const data = { [file]: Buffer.from(content).toString('base64') };
  const work = { reporter: quietReporter, timeout, signal: new AbortController().signal };
  await waitTakenOver(async () => replicas, { data }, work, timeout);
}

export function replicaOf(name: string, { folder }: ControlPlane, hosted: HostedCluster): Replica {
  return {
    name,
    metrics: async () => (await hosted.transport.request<string>({ method: 'GET', path: '/metrics', text: true })).body,
    log: async () => readFileSync(path.join(folder, 'kube-apiserver.log'), 'utf8'),
  };
}
