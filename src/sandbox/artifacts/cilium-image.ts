import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Image } from './image.ts';
import { addPacketFilters, boxProgram, type Rootfs } from './rootfs.ts';
import { withShell } from './test-images.ts';

/** Programs of the box in the agent's image: its scripts are for bash, and it calls the others. */
const box = ['busybox', 'bash', 'ip', 'mount', 'nsenter', 'xtables-nft-multi', 'nft', 'conntrack', 'ipset', 'clang-19'];

/** As images/cilium of Cilium's repository makes it, without Envoy and what belongs to it. */
export const ciliumAgent: Image = {
  binaries: [
    'cilium-agent',
    'cilium-dbg',
    'cilium-cni',
    'cilium-mount',
    'cilium-bpf',
    'init-container.sh',
    'install-plugin.sh',
    'cni-uninstall.sh',
  ],
  box,
  command: ['/usr/bin/cilium-dbg'],
  fill: async (binary) => {
    const rootfs = await withShell();
    await addPacketFilters(rootfs);
    for (const name of ['ip', 'mount', 'nsenter']) await rootfs.program(await boxProgram(name), `/usr/sbin/${name}`);
    await rootfs.program(await boxProgram('clang-19'), '/usr/bin/clang');
    for (const name of ['cilium-agent', 'cilium-dbg', 'cilium-mount'] as const)
      await rootfs.file(`/usr/bin/${name}`, binary(name));
    rootfs.link('/usr/bin/cilium', 'cilium-dbg');
    await rootfs.file('/opt/cni/bin/cilium-cni', binary('cilium-cni'));
    await rootfs.program('/usr/lib/cni/loopback', '/cni/loopback');
    for (const name of ['init-container.sh', 'install-plugin.sh', 'cni-uninstall.sh'] as const)
      await rootfs.file(`/${name}`, binary(name));
    await addFolder(rootfs, binary('cilium-bpf'), '/var/lib/cilium/bpf');
    return rootfs;
  },
};

export const ciliumOperator: Image = {
  binaries: ['cilium-operator'],
  command: ['/usr/bin/cilium-operator-generic'],
  box: ['busybox', 'bash'],
  fill: async (binary) => {
    const rootfs = await withShell();
    await rootfs.file('/usr/bin/cilium-operator-generic', binary('cilium-operator'));
    return rootfs;
  },
};

async function addFolder(rootfs: Rootfs, source: string, target: string): Promise<void> {
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(source, file);
    if (!name.startsWith('tests/')) await rootfs.file(path.join(target, name), file, { mode: 0o644 });
  }
}
