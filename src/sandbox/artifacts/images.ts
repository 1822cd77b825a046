import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ImageName, imageReferences, testImageNames } from '../versions.ts';
import { writeImage } from './archive.ts';
import { architecture, imagePath, writeAtomically } from './cache.ts';
import { ciliumAgent, ciliumOperator } from './cilium-image.ts';
import type { Image } from './image.ts';
import { packageFiles, packageHash } from './package-files.ts';
import { findProgram } from './programs.ts';
import type { BinaryName } from './recipes.ts';
import { addBusybox, addPacketFilters, baseRootfs, Rootfs } from './rootfs.ts';
import { testImages } from './test-images.ts';
import { workerImage } from './worker-image.ts';

/** Raise it when what `fill` puts into any image changes: images in caches are then made anew. */
const edition = 2;

export type BinaryPaths = Readonly<Partial<Record<BinaryName, string>>>;

/** A program of Kubernetes as its release images have it: /usr/local/bin, no shell. */
const kubernetes = (name: BinaryName, capability?: 'net_bind_service'): Image => ({
  binaries: [name],
  fill: async (binary) => {
    const rootfs = await baseRootfs();
    await rootfs.file(`/usr/local/bin/${name}`, binary(name), { capability });
    return rootfs;
  },
});

const certManager = (name: BinaryName, program: string): Image => ({
  binaries: [name],
  entrypoint: [program],
  user: '1000:1000',
  fill: async (binary) => {
    const rootfs = await baseRootfs();
    await rootfs.file(program, binary(name));
    return rootfs;
  },
});

const konnectivity = (name: BinaryName, program: string): Image => ({
  binaries: [name],
  entrypoint: [program],
  user: '65532:65532',
  fill: async (binary) => {
    const rootfs = await baseRootfs();
    await rootfs.file(program, binary(name));
    return rootfs;
  },
});

/** What the Dockerfile makes of the built package in `folder`. */
export const ownImage = (folder: string): Image => ({
  binaries: ['node'],
  contents: () => packageHash(folder),
  entrypoint: ['node', '/usr/local/lib/k8sk8s/dist/cli.js'],
  user: '65532:65532',
  fill: async (binary) => {
    const rootfs = await baseRootfs();
    await rootfs.program(binary('node'), '/usr/local/bin/node');
    for (const file of packageFiles(folder))
      await rootfs.file(`/usr/local/lib/k8sk8s/${file}`, join(folder, file), { mode: 0o644 });
    return rootfs;
  },
});

const packetFilters = ['xtables-nft-multi', 'nft', 'conntrack', 'ipset'];

const images: Record<Exclude<ImageName, 'k8sk8s' | 'worker'>, Image> = {
  ...testImages,
  // In the release image, the binary has cap_net_bind_service as a file capability, so a container without that capability cannot start it.
  'kube-apiserver': kubernetes('kube-apiserver', 'net_bind_service'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  'kube-scheduler': kubernetes('kube-scheduler'),
  'kube-proxy': {
    binaries: ['kube-proxy'],
    box: packetFilters,
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/usr/local/bin/kube-proxy', binary('kube-proxy'));
      await addPacketFilters(rootfs);
      return rootfs;
    },
  },
  etcd: {
    binaries: ['etcd', 'etcdctl', 'etcdutl'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      for (const name of ['etcd', 'etcdctl', 'etcdutl'] as const)
        await rootfs.file(`/usr/local/bin/${name}`, binary(name));
      return rootfs;
    },
  },
  coredns: {
    binaries: ['coredns'],
    entrypoint: ['/coredns'],
    user: '65532:65532',
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/coredns', binary('coredns'), { capability: 'net_bind_service' });
      return rootfs;
    },
  },
  flannel: {
    binaries: ['flanneld', 'install-conf'],
    box: [...packetFilters, 'busybox'],
    entrypoint: ['/opt/bin/flanneld'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/opt/bin/flanneld', binary('flanneld'));
      await rootfs.file('/opt/bin/install-conf', binary('install-conf'));
      await addPacketFilters(rootfs);
      await addBusybox(rootfs, ['sh', 'cp', 'mkdir', 'ip', 'cat', 'ls', 'sleep']);
      return rootfs;
    },
  },
  'flannel-cni-plugin': {
    binaries: ['flannel-cni'],
    box: ['busybox'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/flannel', binary('flannel-cni'));
      await addBusybox(rootfs, ['sh', 'cp', 'mkdir', 'cat', 'ls']);
      return rootfs;
    },
  },
  traefik: {
    binaries: ['traefik'],
    entrypoint: ['traefik'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/usr/local/bin/traefik', binary('traefik'));
      return rootfs;
    },
  },
  'local-path-provisioner': {
    binaries: ['local-path-provisioner'],
    box: ['busybox'],
    command: ['local-path-provisioner'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/usr/bin/local-path-provisioner', binary('local-path-provisioner'));
      await addBusybox(rootfs);
      return rootfs;
    },
  },
  'metrics-server': {
    binaries: ['metrics-server'],
    entrypoint: ['/metrics-server'],
    user: '65534:65534',
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/metrics-server', binary('metrics-server'));
      return rootfs;
    },
  },
  'cert-manager-controller': certManager('cert-manager-controller', '/app/cmd/controller/controller'),
  'cert-manager-webhook': certManager('cert-manager-webhook', '/app/cmd/webhook/webhook'),
  'cert-manager-cainjector': certManager('cert-manager-cainjector', '/app/cmd/cainjector/cainjector'),
  cilium: ciliumAgent,
  'cilium-operator': ciliumOperator,
  'konnectivity-server': konnectivity('konnectivity-server', '/proxy-server'),
  'konnectivity-agent': konnectivity('konnectivity-agent', '/proxy-agent'),
  // The release image's program has this name.
  'victoria-logs': {
    binaries: ['victoria-logs'],
    entrypoint: ['/victoria-logs-prod'],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.file('/victoria-logs-prod', binary('victoria-logs'));
      return rootfs;
    },
  },
  pause: {
    binaries: ['pause'],
    entrypoint: ['/pause'],
    user: '65535:65535',
    fill: async (binary) => {
      const rootfs = new Rootfs();
      await rootfs.file('/pause', binary('pause'));
      return rootfs;
    },
  },
  busybox: {
    binaries: [],
    box: ['busybox'],
    command: ['sh'],
    fill: async () => {
      const rootfs = await baseRootfs();
      rootfs.text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n');
      rootfs.text('etc/group', 'root:x:0:\nnobody:x:65534:\n');
      for (const folder of ['root', 'home', 'var/www', 'usr/bin']) rootfs.folder(folder);
      await addBusybox(rootfs);
      return rootfs;
    },
  },
  node: {
    binaries: ['node'],
    box: ['busybox'],
    entrypoint: ['node'],
    command: [],
    fill: async (binary) => {
      const rootfs = await baseRootfs();
      await rootfs.program(binary('node'), '/usr/local/bin/node');
      rootfs.text(
        'etc/passwd',
        'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n',
      );
      rootfs.text('etc/group', 'root:x:0:\nnode:x:1000:\nnobody:x:65534:\n');
      await addBusybox(rootfs);
      return rootfs;
    },
  },
};

/** @throws Error for k8sk8s' own image without the folder of its package */
function imageOf(name: ImageName, { packageFolder, archives = [] }: ImageOptions): Image {
  if (name === 'worker') return workerImage(archives);
  if (name !== 'k8sk8s') return images[name];
  if (packageFolder === undefined)
    throw new Error('the image k8sk8s is made of a built package; say in which folder it lies');
  return ownImage(packageFolder);
}

/** The programs of the cache that go into an image. */
export function binariesOf(name: ImageName): BinaryName[] {
  if (name === 'worker') return workerImage([]).binaries;
  return name === 'k8sk8s' ? ['node'] : images[name].binaries;
}

/** Whether an image takes programs that Debian packages bring. */
export function needsBox(name: ImageName): boolean {
  return name === 'k8sk8s' || name === 'worker' || (images[name].box ?? []).length > 0;
}

/** Whether an image is one of the conformance suite's own. */
export function isTestImage(name: ImageName): boolean {
  return (testImageNames as readonly string[]).includes(name);
}

/** Names that are asked for instead of those that a sandbox uses. */
export type References = Partial<Record<ImageName, readonly string[]>>;

export interface ImageOptions {
  /** Names for images other than those that a sandbox uses; an image of the conformance suite has no others. */
  references?: References;
  /** Folder of the built package of k8sk8s, for its own image. */
  packageFolder?: string;
  /** Archives of images that go into the image of worker pods, for workers that reach no registry. */
  archives?: readonly string[];
}

function referencesOf(name: ImageName, kubernetes: string, asked: References): string[] {
  const own = imageReferences[name as keyof typeof imageReferences] as ((kubernetes: string) => string) | undefined;
  const references = asked[name] ?? (own && [own(kubernetes)]);
  if (!references?.[0]) throw new Error(`the image ${name} has no name of its own; say which it is to have`);
  return [...references];
}

/**
 * Where an image's archive lies or is to lie. The name changes with the programs that go in, so that an image never
 * outlives them.
 *
 * @param paths of the image's binaries; those have to exist
 * @returns undefined when a program of the box is missing
 */
export async function imageArchive(
  root: string,
  name: ImageName,
  kubernetes: string,
  paths: BinaryPaths,
  options: ImageOptions = {},
): Promise<string | undefined> {
  const image = imageOf(name, options);
  const box = await Promise.all(
    (image.box ?? []).map((program) => (program.startsWith('/') ? program : findProgram(program))),
  );
  if (box.includes(undefined)) return undefined;
  const sources = [...image.binaries.map((binary) => paths[binary]!), ...(box as string[])];
  const stats = await Promise.all(sources.map((source) => stat(source)));
  const references = referencesOf(name, kubernetes, options.references ?? {});
  const { entrypoint, command, user } = image;
  const inputs = stats.map(({ size, mtimeMs }, index) => [sources[index], size, mtimeMs]);
  const key = createHash('sha256')
    .update(JSON.stringify([edition, references.join(' '), entrypoint, command, user, inputs, image.contents?.()]))
    .digest('hex')
    .slice(0, 16);
  return imagePath(root, name, references[0]!.slice(references[0]!.lastIndexOf(':') + 1), key);
}

/** Makes an image's archive at `path` (see imageArchive). Call it with the image's lock. */
export async function buildImage(
  name: ImageName,
  kubernetes: string,
  paths: BinaryPaths,
  path: string,
  options: ImageOptions = {},
): Promise<void> {
  const image = imageOf(name, options);
  const rootfs = await image.fill((binary) => paths[binary]!);
  await writeAtomically(path, (temporary) =>
    writeImage(temporary, rootfs, {
      references: referencesOf(name, kubernetes, options.references ?? {}),
      architecture: architecture(),
      entrypoint: image.entrypoint,
      command: image.command,
      user: image.user,
    }),
  );
  if (!image.contents) return;
  const folder = dirname(path);
  for (const name of await readdir(folder)) if (name !== basename(path)) await rm(join(folder, name));
}
