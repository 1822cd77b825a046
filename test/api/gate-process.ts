import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { dump } from 'js-yaml';
import { render } from '../../src/manifests/render.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import selector from '../../src/plane/components/kube-apiserver/egress/egress-selector.yaml';
import program from '../../src/programs/gate/main.ts?program';
import { until } from '../until.ts';
import type { ControlPlane } from './control-plane.ts';

/** An address of this machine that is not loopback, as a pod of the infra cluster has one. */
export function ownAddress(): string {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)!.address;
}

/** The API server's --egress-selector-config-file, with sockets in `folder`. */
export function egressConfig(folder: string): string {
  const [config] = render(selector, { protocol: 'HTTPConnect' }, 'egress-selector.yaml');
  return dump(config).replaceAll('/run/egress', folder);
}

/** The gate's own program beside an API server of the tests. */
export interface GateProcess {
  process: ChildProcess;
  log(): string;
}

/**
 * @param folder of its sockets and credentials
 * @param args more arguments
 * @param env beside this process's own
 * @param cluster name of its socket for the hosted cluster
 */
export async function startGate(
  plane: ControlPlane,
  folder: string,
  kubeletCa: string,
  args: string[],
  env: Record<string, string> = {},
  cluster = 'egress.sock',
): Promise<GateProcess> {
  const { certificate, key } = await issueLeaf(plane.authority, {
    commonName: 'k8sk8s:egress',
    usages: ['clientAuth'],
  });
  const files = {
    'gate.mjs': program,
    'ca.crt': plane.authority.certificate,
    'egress.crt': certificate,
    'egress.key': key,
    'kubelet-serving-ca.crt': kubeletCa,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  const gate = spawn(
    process.execPath,
    [
      path.join(folder, 'gate.mjs'),
      `--cluster=${folder}/${cluster}`,
      `--controlplane=${folder}/controlplane.sock`,
      `--server=${plane.server}`,
      `--credentials=${folder}`,
      '--pod-cidr=10.2.0.0/16',
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } },
  );
  let log = '';
  for (const stream of [gate.stdout!, gate.stderr!]) stream.on('data', (data) => (log += data));
  await until(() => log.includes(cluster) && log.includes('controlplane.sock'), { every: 20, said: () => log });
  return { process: gate, log: () => log };
}
