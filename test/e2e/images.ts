import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import { writeImage } from '../../sandbox/artifacts/archive.ts';
import { architecture } from '../../sandbox/artifacts/cache.ts';
import { addBusybox, baseRootfs } from '../../sandbox/artifacts/rootfs.ts';
import { inside } from '../../sandbox/machine.ts';
import { requireState } from '../../sandbox/state.ts';

const infraMachines = () => requireState(inject('sandbox')).machines.filter(({ role }) => role === 'infra');
const ctr = ['ctr', '-a', '/run/containerd/containerd.sock', '-n', 'k8s.io', 'images'];

/** Gives an image of the infra machines one more name. */
export async function tagImage(from: string, to: string): Promise<void> {
  for (const machine of infraMachines()) await inside(machine, [...ctr, 'tag', '--force', from, to]);
}

/** An image on all infra machines whose only program is `script`, for a shell, at `at`. */
export async function scriptImage(reference: string, at: string, script: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-image-'));
  try {
    const source = path.join(folder, 'script');
    writeFileSync(source, script);
    const rootfs = await baseRootfs();
    await addBusybox(rootfs, ['sh']);
    await rootfs.file(at, source);
    const archive = path.join(folder, 'image.tar');
    await writeImage(archive, rootfs, { reference, architecture: architecture() });
    for (const machine of infraMachines()) await inside(machine, [...ctr, 'import', archive]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
