import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerKubeconfig } from '../../src/access/files.ts';
import { workerScript } from '../../src/access/worker-script.ts';
import { parseSpec } from '../../src/config/parse.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import type { Addresses } from '../../src/plane/addresses.ts';
import entrypoint from '../../src/plane/beside/worker-pods/entrypoint.sh';
import { findProgram } from '../../src/sandbox/artifacts/programs.ts';
import { librariesOf } from '../../src/sandbox/artifacts/rootfs.ts';
import { versions } from '../../src/sandbox/versions.ts';
import inside from './inside.sh';
import { arm64Kubelet } from './kubelet.ts';
import { arm64Root } from './root.ts';

/*
 * Starts the worker image for arm64 on a box of amd64, under qemu-user: `npm run test:arm64`, as root; with `--without-kubelet` without the
 * kubelet, whose build takes minutes. What it says begins with TRIAL.
 *
 * runc itself does not run a container under qemu-user, which knows no CLONE_PARENT; so the box's runc does, beside containerd and its shim
 * of arm64, and the container's program is of arm64.
 */

const [address, port] = ['10.77.0.1', 6443];

const [command, folder] = process.argv.slice(2);
if (command === 'serve') serve(folder!);
else process.exitCode = await trial(command !== '--without-kubelet');

async function trial(withKubelet: boolean): Promise<number> {
  const { root, qemu } = await arm64Root();
  const work = mkdtempSync(path.join(tmpdir(), 'k8sk8s-arm64-'));
  try {
    for (const each of ['image', 'overlay', 'root']) mkdirSync(path.join(work, each));
    await fillImage(path.join(work, 'image'), work);
    if (withKubelet) {
      const kubelet = await arm64Kubelet(versions.kubernetes, (text) => console.log(`kubelet: ${text}`));
      put(path.join(work, 'image'), 'usr/local/bin/kubelet', kubelet);
    }
    const said = await runInside({ ROOT: root, QEMU: qemu, WORK: work });
    return faults(said, withKubelet);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What the image has besides Debian's packages, and what a pod's Secret brings. */
async function fillImage(image: string, work: string): Promise<void> {
  const [authority, serving] = [await createAuthority('trial'), await createAuthority('trial')];
  const server = await issueLeaf(authority, {
    commonName: 'kube-apiserver',
    ipAddresses: [address],
    usages: ['serverAuth'],
  });
  writeFileSync(path.join(work, 'server.pem'), server.certificate + server.key);
  const spec = parseSpec({ host: 'arm64.example.com', kubernetesVersion: versions.kubernetes }, 'here');
  const addresses = { workerServer: `https://${address}:${port}`, nodePort: 31234 } as Addresses;
  const token = 'abcdef.0123456789abcdef';
  const texts = {
    'usr/local/lib/worker.sh': entrypoint,
    'etc/resolv.conf': `nameserver ${address}\n`,
    'etc/kubernetes/tls/kubeconfig-kubelets': workerKubeconfig(spec, addresses, authority.certificate, token),
    'etc/kubernetes/tls/ca.pem': serving.certificate,
    'etc/kubernetes/tls/worker.sh': workerScript(spec, addresses),
  };
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(path.dirname(path.join(image, name)), { recursive: true });
    writeFileSync(path.join(image, name), text);
  }
  const runc = (await findProgram('runc', ['/usr/sbin']))!;
  put(image, 'trial/runc', runc);
  // /lib is a link in the root, and a folder here would hide it.
  for (const library of await librariesOf(runc)) put(image, library.replace(/^\/lib\//, '/usr/lib/'), library);
}

function put(image: string, name: string, source: string): void {
  cpSync(source, path.join(image, name), { dereference: true });
}

/** @returns the lines that begin with TRIAL */
function runInside(variables: Record<string, string>): Promise<string[]> {
  const namespaces = ['--user', '--mount', '--net', '--pid', '--ipc', '--cgroup', '--fork', '--kill-child=KILL'];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', inside], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...variables, NODE: process.execPath, PROGRAM: fileURLToPath(import.meta.url) },
  });
  // With unshare ends the first process of its PID namespace, and with that all others.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    process.stdout.write(data);
    said += data;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(said.split('\n').filter((line) => line.startsWith('TRIAL: '))));
    // unshare itself maps one user alone without newuidmap; containers need more.
    const map = () => {
      try {
        for (const each of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${each}`, '0 0 65536\n');
        child.stdin.end('\n');
      } catch (error) {
        // It has not unshared yet.
        if ((error as NodeJS.ErrnoException).code === 'EPERM' && child.exitCode === null) setTimeout(map, 50);
        else reject(error);
      }
    };
    child.once('spawn', () => setTimeout(map, 200));
  });
}

/** Tells what was not seen. */
function faults(said: string[], withKubelet: boolean): number {
  const wanted = [
    /^TRIAL: architecture aarch64$/,
    /^TRIAL: runc version /,
    /^TRIAL: containerd \d/,
    /^TRIAL: a container says aarch64$/,
    ...(withKubelet
      ? [
          /^TRIAL: Kubernetes v/,
          new RegExp(
            `asked POST /apis/certificates.k8s.io/v1/certificatesigningrequests\\S* kubelet/v${versions.kubernetes} \\(linux/arm64\\)`,
          ),
        ]
      : []),
  ];
  const missing = wanted.filter((each) => !said.some((line) => each.test(line)));
  for (const each of missing) console.log(`not seen: ${each.source}`);
  return missing.length > 0 ? 1 : 0;
}

/** Stands in for the API server: it notes who asks for what, and lets nobody in. */
function serve(work: string): void {
  const pem = readFileSync(path.join(work, 'server.pem'));
  const server = createServer({ cert: pem, key: pem }, ({ method, url, headers }, response) => {
    appendFileSync(path.join(work, 'requests'), `${method} ${url} ${headers['user-agent']}\n`);
    response.writeHead(403, { 'Content-Type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', code: 403 }),
    );
  });
  server.listen(port, address);
}
