import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import entrypoint from '../../plane/beside/worker-pods/entrypoint.sh';
import type { Image } from './image.ts';
import { findProgram } from './programs.ts';
import { addBusybox, addPacketFilters, baseRootfs } from './rootfs.ts';

/** Debian's folder, and where containerd and flannel look for CNI plugins. */
const debianPlugins = '/usr/lib/cni';
const pluginFolder = '/opt/cni/bin';
const plugins = ['bridge', 'host-local', 'loopback', 'portmap'];

/** Programs of the box, each with where it lies in the image. */
const programs = {
  containerd: '/usr/bin/containerd',
  'containerd-shim-runc-v2': '/usr/bin/containerd-shim-runc-v2',
  ctr: '/usr/bin/ctr',
  runc: '/usr/sbin/runc',
  ip: '/usr/sbin/ip',
  ethtool: '/usr/sbin/ethtool',
};

/** BusyBox has these too, but not all that is asked of them; and its shell prefers its own programs. */
const insteadOfBusybox = { mount: '/bin/mount', umount: '/bin/umount', unshare: '/bin/unshare', dash: '/bin/dash' };

/** What Dockerfile.worker makes, of this box's packages. @param archives images that its workers have from the beginning */
export const workerImage = (archives: readonly string[]): Image => ({
  binaries: ['kubelet'],
  box: [
    ...Object.keys(programs),
    ...Object.keys(insteadOfBusybox),
    ...plugins.map((plugin) => join(debianPlugins, plugin)),
    'xtables-nft-multi',
    'busybox',
  ],
  contents: () =>
    createHash('sha256')
      .update(JSON.stringify([entrypoint, archives, later.source]))
      .digest('hex'),
  entrypoint: ['/bin/sh', '/usr/local/lib/worker.sh'],
  fill: async (binary) => {
    const rootfs = await baseRootfs();
    for (const folder of ['root', 'var/log', 'var/tmp', 'etc/cni/net.d', 'usr/bin']) rootfs.folder(folder);
    await addBusybox(rootfs);
    await addPacketFilters(rootfs);
    await rootfs.file('/usr/local/bin/kubelet', binary('kubelet'));
    for (const [name, path] of Object.entries({ ...programs, ...insteadOfBusybox }))
      await rootfs.program((await findProgram(name))!, path);
    rootfs.link('/bin/sh', 'dash');
    for (const plugin of plugins) await rootfs.program(join(debianPlugins, plugin), join(pluginFolder, plugin));
    rootfs.text('usr/local/lib/worker.sh', entrypoint);
    for (const archive of archives)
      await rootfs.file(`${folderOf(archive)}/${nameOf(archive)}.tar`, archive, { mode: 0o644 });
    return rootfs;
  },
});

/** Images that no pod of a Node's own has. */
const later = /^(agnhost|busybox)-/;
const folderOf = (archive: string) => (later.test(nameOf(archive)) ? '/images/later' : '/images');

/** `coredns-v1.15.0` of `…/images/coredns/v1.15.0/amd64/30949c9349aed8f1.tar`. */
function nameOf(archive: string): string {
  const version = dirname(dirname(archive));
  return `${basename(dirname(version))}-${basename(version)}`;
}
