import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheRoot } from '../src/base/cache-root.ts';
import { knownMinors } from '../src/config/versions.ts';
import { writeImage } from '../src/sandbox/artifacts/archive.ts';
import { architecture, binaryPath } from '../src/sandbox/artifacts/cache.ts';
import { addBusybox, baseRootfs } from '../src/sandbox/artifacts/rootfs.ts';
import { inside } from '../src/sandbox/machine.ts';
import { requireState } from '../src/sandbox/state.ts';
import { imageReferences, versions } from '../src/sandbox/versions.ts';

const machinesOf = (sandbox: string, role: 'infra' | 'worker') =>
  requireState(sandbox).machines.filter((machine) => machine.role === role);
const ctr = ['ctr', '-a', '/run/containerd/containerd.sock', '-n', 'k8s.io', 'images'];

type Component = 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

/** A component that says to be another version of the same length, on all infra machines: to a plane, another release. */
export async function renamedImage(sandbox: string, component: Component, version: string): Promise<void> {
  const program = readFileSync(binaryPath(cacheRoot(), 'kubernetes', versions.kubernetes, component));
  const [before, after] = [Buffer.from(`v${versions.kubernetes}`), Buffer.from(`v${version}`)];
  for (let at = program.indexOf(before); at >= 0; at = program.indexOf(before, at + 1)) after.copy(program, at);
  await image(sandbox, component, version, program);
}

/** Version that `makeOlderRelease` gives to programs of the newest release: the step to the next minor without building another one. */
export const olderRelease = `${knownMinors[1]!.minor}.9`;

/** Images of `olderRelease` for planes and their workers. A worker machine that left a plane has its own no more. */
export async function makeOlderRelease(sandbox: string): Promise<void> {
  for (const component of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const)
    await renamedImage(sandbox, component, olderRelease);
  await retaggedKubeProxy(sandbox, olderRelease);
}

/** An image of all infra machines under another name, too: to a Deployment, another release. */
export async function retaggedImage(sandbox: string, before: string, after: string): Promise<void> {
  for (const machine of machinesOf(sandbox, 'infra')) await inside(machine, [...ctr, 'tag', '--force', before, after]);
}

/** kube-proxy's image under the tag of another version too, on all worker machines. */
async function retaggedKubeProxy(sandbox: string, version: string): Promise<void> {
  const [before, after] = [versions.kubernetes, version].map(imageReferences['kube-proxy']);
  for (const machine of machinesOf(sandbox, 'worker'))
    await inside(machine, [...ctr, 'tag', '--force', before!, after!]);
}

/** An image on all infra machines that answers for its version, and otherwise ends with these words. */
export async function brokenImage(
  sandbox: string,
  component: Component,
  version: string,
  words: string,
): Promise<void> {
  const script = `#!/bin/sh\n[ "$1" = --version ] && exec echo "Kubernetes v${version}"\necho "${words}" >&2\nexit 3\n`;
  await image(sandbox, component, version, script);
}

async function image(sandbox: string, component: Component, version: string, program: string | Buffer): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-image-'));
  try {
    const source = path.join(folder, 'program');
    writeFileSync(source, program);
    const rootfs = await baseRootfs();
    await addBusybox(rootfs, ['sh']);
    await rootfs.file(`/usr/local/bin/${component}`, source);
    const archive = path.join(folder, 'image.tar');
    const references = [imageReferences[component](version)];
    await writeImage(archive, rootfs, { references, architecture: architecture() });
    for (const machine of machinesOf(sandbox, 'infra')) await inside(machine, [...ctr, 'import', archive]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
