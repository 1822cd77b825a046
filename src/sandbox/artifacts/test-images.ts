import type { testImageNames } from '../versions.ts';
import type { Image } from './image.ts';
import { findProgram } from './programs.ts';
import type { BinaryName } from './recipes.ts';
import { addBusybox, baseRootfs, type Rootfs } from './rootfs.ts';

// Images of Kubernetes' conformance suite (test/images of its repository), with what their Dockerfiles put in. Where
// those take Alpine's packages, these take the same programs of Debian.

/** Programs of the box for withShell. */
const shell = ['busybox', 'bash'];

type Binary = (name: BinaryName) => string;

/** What agnhost's Dockerfile installs, under the names by which specs call it. */
const agnhostTools = {
  curl: '/usr/bin/curl',
  dig: '/usr/bin/dig',
  getent: '/usr/bin/getent',
  host: '/usr/bin/host',
  ip: '/usr/sbin/ip',
  ipcs: '/usr/bin/ipcs',
  iperf: '/usr/bin/iperf',
  'nc.openbsd': '/usr/bin/nc',
  nslookup: '/usr/bin/nslookup',
  socat: '/usr/bin/socat',
  ss: '/usr/sbin/ss',
};

const agnhostBinaries: BinaryName[] = ['agnhost', 'coredns', 'localhost.crt', 'localhost.key'];

async function agnhost(binary: Binary): Promise<Rootfs> {
  const rootfs = await withShell();
  await addTools(rootfs, agnhostTools);
  await rootfs.file('/agnhost', binary('agnhost'));
  rootfs.link('/agnhost-2', 'agnhost');
  await rootfs.file('/coredns', binary('coredns'));
  for (const name of ['localhost.crt', 'localhost.key'] as const)
    await rootfs.file(`/${name}`, binary(name), { mode: 0o644 });
  rootfs.link('/usr/local/bin/iperf', '/usr/bin/iperf');
  rootfs.folder('/uploads');
  // A spec asks for the groups that the image itself gives this user.
  rootfs.text(
    'etc/passwd',
    'root:x:0:0:root:/root:/bin/sh\nuser-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
  );
  rootfs.text(
    'etc/group',
    'root:x:0:root\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\nnobody:x:65534:\n',
  );
  return rootfs;
}

/** agnhost serving a picture of an animal, and saying which. */
const pet = (picture: 'kitten.jpg' | 'nautilus.jpg'): Image => ({
  binaries: [...agnhostBinaries, picture],
  box: [...shell, ...Object.keys(agnhostTools)],
  entrypoint: ['/agnhost'],
  command: ['test-webserver'],
  fill: async (binary) => {
    const rootfs = await agnhost(binary);
    await rootfs.file(`/${picture}`, binary(picture), { mode: 0o644 });
    rootfs.text('data.json', `{\n  "image": "${picture}"\n}\n`);
    return rootfs;
  },
});

const dnsTools = { dig: '/usr/bin/dig', getent: '/usr/bin/getent', host: '/usr/bin/host' };

export const testImages: Record<(typeof testImageNames)[number], Image> = {
  agnhost: {
    binaries: agnhostBinaries,
    box: [...shell, ...Object.keys(agnhostTools)],
    entrypoint: ['/agnhost'],
    command: ['pause'],
    fill: agnhost,
  },
  'busybox-testing': { binaries: [], box: shell, command: ['sh'], fill: withShell },
  kitten: pet('kitten.jpg'),
  nautilus: pet('nautilus.jpg'),
  'glibc-dns-testing': {
    binaries: ['coredns'],
    box: [...shell, ...Object.keys(dnsTools)],
    command: ['bash'],
    fill: async (binary) => {
      const rootfs = await withShell();
      await addTools(rootfs, dnsTools);
      await rootfs.file('/coredns', binary('coredns'));
      return rootfs;
    },
  },
  nginx: {
    binaries: ['nginx'],
    box: shell,
    command: ['nginx', '-g', 'daemon off;'],
    fill: async (binary) => {
      const rootfs = await withShell();
      await rootfs.program(binary('nginx'), '/usr/sbin/nginx');
      for (const folder of ['var/log/nginx', 'var/lib/nginx', 'run/lock']) rootfs.folder(folder);
      rootfs.text('etc/nginx/nginx.conf', nginxConfiguration);
      rootfs.text('usr/share/nginx/html/index.html', '<html><body><h1>Welcome to nginx!</h1></body></html>\n');
      return rootfs;
    },
  },
  nonewprivs: {
    binaries: ['nnp'],
    box: shell,
    command: ['nnp'],
    fill: async (binary) => {
      const rootfs = await withShell();
      await rootfs.file('/usr/local/bin/nnp', binary('nnp'), { mode: 0o6755 });
      return rootfs;
    },
  },
  nonroot: { binaries: [], box: shell, command: ['sh'], user: '1234', fill: withShell },
  'sample-apiserver': {
    binaries: ['sample-apiserver'],
    box: shell,
    entrypoint: ['/sample-apiserver'],
    fill: async (binary) => {
      const rootfs = await withShell();
      await rootfs.file('/sample-apiserver', binary('sample-apiserver'));
      return rootfs;
    },
  },
};

/** Like the official image's: port 80, one page, logs where `kubectl logs` sees them. */
const nginxConfiguration = `user root;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events {}
http {
  access_log /dev/stdout;
  types { text/html html; }
  default_type application/octet-stream;
  server {
    listen 80;
    root /usr/share/nginx/html;
    index index.html;
  }
}
`;

/**
 * Busybox's programs, and bash for a shell: Debian's busybox prefers its own programs to those of the image, and forgets
 * variables whose names are no identifiers, which the images' own does not.
 */
export async function withShell(): Promise<Rootfs> {
  const rootfs = await baseRootfs();
  for (const folder of ['root', 'home', 'var/tmp', 'usr/bin']) rootfs.folder(folder);
  await addBusybox(rootfs);
  await rootfs.program((await findProgram('bash'))!, '/bin/bash');
  rootfs.link('/bin/sh', 'bash');
  return rootfs;
}

async function addTools(rootfs: Rootfs, tools: Record<string, string>): Promise<void> {
  for (const [name, path] of Object.entries(tools)) await rootfs.program((await findProgram(name))!, path);
}
