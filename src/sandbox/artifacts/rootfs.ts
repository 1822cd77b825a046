import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { findProgram, run } from './programs.ts';

/** One thing in an image. Everything belongs to root and bears the date 1970-01-01. */
export type Entry =
  | { kind: 'folder'; mode: number }
  | { kind: 'link'; target: string }
  | { kind: 'text'; text: string; mode: number }
  | { kind: 'file'; source: string; size: number; mode: number; capability?: 'net_bind_service' };

/** The file system of an image, by absolute path without the leading slash. */
export class Rootfs {
  readonly entries = new Map<string, Entry>();

  folder(path: string, mode = 0o755): void {
    this.#put(path, { kind: 'folder', mode });
  }

  link(path: string, target: string): void {
    this.#put(path, { kind: 'link', target });
  }

  text(path: string, text: string): void {
    this.#put(path, { kind: 'text', text, mode: 0o644 });
  }

  /** Takes a file of this box. Readable for all, since most images do not run as root. */
  async file(
    path: string,
    source: string,
    options: { mode?: number; capability?: 'net_bind_service' } = {},
  ): Promise<void> {
    const { size } = await stat(source);
    this.#put(path, {
      kind: 'file',
      source,
      size,
      mode: options.mode ?? 0o755,
      ...(options.capability && { capability: options.capability }),
    });
  }

  /** Takes a program of this box to where it lies here, or to `path`, with the shared libraries that it loads. */
  async program(source: string, path: string = source): Promise<void> {
    await this.file(path, source);
    for (const library of await librariesOf(source)) await this.file(library, library);
  }

  #put(path: string, entry: Entry): void {
    const name = path.replace(/^\/+/, '');
    this.entries.set(name, entry);
    for (let parent = dirname(name); parent !== '.' && !this.entries.has(parent); parent = dirname(parent)) {
      this.entries.set(parent, { kind: 'folder', mode: 0o755 });
    }
  }
}

/** Users, name resolution, certificate authorities and /tmp: what programs expect to find in any image. */
export async function baseRootfs(): Promise<Rootfs> {
  const rootfs = new Rootfs();
  rootfs.folder('tmp', 0o1777);
  rootfs.folder('run');
  rootfs.text(
    'etc/passwd',
    'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  );
  rootfs.text('etc/group', 'root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n');
  rootfs.text('etc/nsswitch.conf', 'hosts: files dns\n');
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  if (await isFile(certificates)) await rootfs.file(certificates, certificates, { mode: 0o644 });
  return rootfs;
}

/** Adds a shell and `applets`, all of them by default, as links to busybox in /bin. */
export async function addBusybox(rootfs: Rootfs, applets?: string[]): Promise<void> {
  const busybox = await boxProgram('busybox');
  await rootfs.program(busybox, '/bin/busybox');
  const names =
    applets ?? (await run(busybox, ['--list'])).stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  for (const name of names) rootfs.link(`/bin/${name}`, 'busybox');
}

/** Adds iptables on nftables with its extensions, nft, conntrack and ipset: what kube-proxy and flannel call. */
export async function addPacketFilters(rootfs: Rootfs): Promise<void> {
  const iptables = await boxProgram('xtables-nft-multi');
  await rootfs.program(iptables, '/usr/sbin/xtables-nft-multi');
  for (const name of ['nft', 'conntrack', 'ipset']) await rootfs.program(await boxProgram(name), `/usr/sbin/${name}`);
  for (const name of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) rootfs.link(`/usr/sbin/${name}${suffix}`, 'xtables-nft-multi');
  }
  const extensions = await extensionFolder(iptables);
  for (const name of await readdir(extensions)) if (name.endsWith('.so')) await rootfs.program(join(extensions, name));
  // iptables -p tcp wants a number for the name.
  if (await isFile('/etc/protocols')) await rootfs.file('/etc/protocols', '/etc/protocols', { mode: 0o644 });
}

/** iptables' extensions lie beside libxtables, in the folder that was compiled into it. */
async function extensionFolder(iptables: string): Promise<string> {
  const library = (await librariesOf(iptables)).find((path) => path.includes('libxtables'));
  const candidates = [
    library && join(dirname(await realpath(library)), 'xtables'),
    '/usr/lib/xtables',
    '/usr/lib64/xtables',
  ];
  for (const path of candidates) if (path && (await readdir(path).catch(() => [])).length > 0) return path;
  throw missing('iptables extensions (libxt_*.so)');
}

/** The path of a program that a Debian package brought. */
export async function boxProgram(name: string): Promise<string> {
  const path = await findProgram(name);
  if (!path) throw missing(name);
  return path;
}

function missing(name: string): UserError {
  return new UserError({
    what: `this box has no ${name}`,
    why: 'a part of the sandbox runs inside containers with it',
    fix: words`run the command as root, which installs what is missing; "${command('sandbox up')}" lists the packages when it may not`,
    anchor: 'missing-packages',
    kind: 'refused',
  });
}

/** The shared libraries of a program, the dynamic linker among them, by the paths where it looks for them; none for a static one. */
export async function librariesOf(program: string): Promise<string[]> {
  const ran = await run('ldd', [program]);
  if (ran.code !== 0) return [];
  const paths = [...ran.stdout.matchAll(/(?:=>\s*|^\s*)(\/\S+)/gm)].map((match) => match[1]!);
  // glibc before 2.34 keeps name resolution in libraries that are loaded at run time.
  const libc = paths.find((path) => path.endsWith('/libc.so.6'));
  for (const name of libc ? ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2'] : []) {
    const path = join(dirname(libc!), name);
    if (await isFile(path)) paths.push(path);
  }
  return [...new Set(paths)];
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
