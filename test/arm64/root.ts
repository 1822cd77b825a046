import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { ensureCacheRoot, lockFolder } from '../../src/sandbox/artifacts/cache.ts';
import { withCacheLock } from '../../src/sandbox/artifacts/cache-lock.ts';
import { run } from '../../src/sandbox/artifacts/programs.ts';

/** Its qemu knows PR_SET_CHILD_SUBREAPER, which containerd's shim asks for; bookworm's does not. */
const suite = 'trixie';

/** What Dockerfile.worker and the sandbox take from a distribution, by Debian's names. */
const packages = [
  ...['containerd', 'runc', 'containernetworking-plugins', 'busybox-static', 'dash', 'util-linux', 'mount'],
  ...['iproute2', 'ethtool', 'iptables', 'nftables', 'conntrack', 'ipset', 'ca-certificates'],
];
const plugins = ['bridge', 'host-local', 'loopback', 'portmap'];

interface Arm64 {
  /** The root of the worker image without the kubelet and its entrypoint. */
  root: string;
  /** Runs programs of arm64 on this box. Static. */
  qemu: string;
}

/** Fetches Debian's packages of arm64 and unpacks them into the cache, once. Nothing is installed on this box. */
export async function arm64Root(): Promise<Arm64> {
  const cache = cacheRoot();
  await ensureCacheRoot(cache);
  const folder = path.join(cache, 'machines', `worker-arm64-${suite}`);
  await withCacheLock(
    lockFolder(cache),
    `worker-arm64-${suite}`,
    () => undefined,
    async () => {
      if (existsSync(folder)) return;
      const temporary = `${folder}.new`;
      rmSync(temporary, { recursive: true, force: true });
      await makeRoot(temporary);
      renameSync(temporary, folder);
    },
  );
  return { root: path.join(folder, 'root'), qemu: path.join(folder, 'qemu', 'usr', 'bin', 'qemu-aarch64') };
}

async function makeRoot(folder: string): Promise<void> {
  const [root, qemu] = [path.join(folder, 'root'), path.join(folder, 'qemu')];
  const apt = aptOf(path.join(folder, 'apt'));
  await apt('update');
  await apt('--download-only', '--yes', 'install', ...packages);
  const archives = path.join(folder, 'apt', 'cache', 'archives');
  // As base-files, which is not among them, has it.
  for (const name of ['bin', 'sbin', 'lib']) {
    mkdirSync(path.join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, path.join(root, name));
  }
  await unpackAll(archives, root);
  for (const each of readdirSync(archives)) if (each.endsWith('.deb')) rmSync(path.join(archives, each));
  await apt('--download-only', '--yes', 'install', 'qemu-user:amd64');
  mkdirSync(qemu);
  await unpackAll(archives, qemu, /^qemu-user_/);
  rmSync(path.join(folder, 'apt'), { recursive: true });
  await complete(root, path.join(qemu, 'usr', 'bin', 'qemu-aarch64'));
}

/** apt-get with a state of its own, to which both architectures belong and nothing is installed. */
function aptOf(folder: string): (...args: string[]) => Promise<void> {
  for (const each of ['state/lists/partial', 'cache/archives/partial', 'etc/apt.conf.d', 'etc/preferences.d'])
    mkdirSync(path.join(folder, each), { recursive: true });
  const file = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  file('state/status', '');
  file(
    'etc/sources.list',
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${suite} main\n`,
  );
  file(
    'apt.conf',
    `Dir "${folder}"; Dir::State "state"; Dir::State::status "${folder}/state/status"; Dir::Cache "cache"; Dir::Etc "etc";
APT::Architecture "arm64"; APT::Architectures { "arm64"; "amd64"; };
APT::Install-Recommends "false"; APT::Sandbox::User "root"; Acquire::Languages "none";
`,
  );
  const env = { ...process.env, APT_CONFIG: path.join(folder, 'apt.conf') };
  return async (...args) => void (await succeeds('apt-get', ['--quiet', ...args], env));
}

async function unpackAll(archives: string, target: string, names = /./): Promise<void> {
  for (const archive of readdirSync(archives).filter((each) => each.endsWith('.deb') && names.test(each)))
    await succeeds('dpkg-deb', ['--extract', path.join(archives, archive), target]);
}

/** What the packages' scripts would do, and what Dockerfile.worker does. */
async function complete(root: string, qemu: string): Promise<void> {
  for (const each of ['etc/cni/net.d', 'opt/cni/bin', 'root', 'run', 'tmp', 'proc', 'sys', 'dev', 'var/log', 'var/tmp'])
    mkdirSync(path.join(root, each), { recursive: true });
  for (const each of ['iptables', 'ip6tables'])
    for (const suffix of ['', '-save', '-restore']) link(root, `usr/sbin/${each}${suffix}`, 'xtables-nft-multi');
  link(root, 'usr/bin/sh', 'dash');
  const applets = await succeeds(qemu, [path.join(root, 'usr', 'bin', 'busybox'), '--list']);
  for (const name of applets.split('\n').filter((each) => each !== '' && each !== 'busybox'))
    if (!existsSync(path.join(root, 'usr', 'sbin', name))) link(root, `usr/bin/${name}`, 'busybox');
  for (const name of plugins)
    cpSync(path.join(root, 'usr', 'lib', 'cni', name), path.join(root, 'opt', 'cni', 'bin', name));
  writeFileSync(path.join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/sbin/nologin\n');
  writeFileSync(path.join(root, 'etc', 'group'), 'root:x:0:\n');
}

function link(root: string, at: string, target: string): void {
  const place = path.join(root, at);
  if (!existsSync(place)) symlinkSync(target, place);
}

async function succeeds(program: string, args: string[], env = process.env): Promise<string> {
  const ran = await run(program, args, { env });
  if (ran.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.errors.slice(-5).join('\n')}`);
  return ran.stdout;
}
