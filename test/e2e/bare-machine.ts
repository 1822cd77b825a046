import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { dump } from 'js-yaml';
import { expect } from 'vitest';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { ensurePackages } from '../../src/sandbox/artifacts/packages.ts';
import { boxSettings } from '../../src/sandbox/box-settings.ts';
import { inside, machineCgroup } from '../../src/sandbox/machine.ts';
import { type MachineState, machineFolder, type SandboxState } from '../../src/sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { eventually } from './world.ts';

// A worker machine of the sandbox with a root of its own: Debian as debootstrap makes it, with nothing of Kubernetes in it. All that it can install comes
// from a server of the test, which hands Debian's mirror on and has a signed repository with the sandbox's own programs.

const execute = promisify(execFile);
const suite = 'bookworm';
const root = '/mnt';

async function run(
  program: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await execute(program, args, { maxBuffer: 64 << 20, ...options });
  return stdout;
}

/** Debian without anything, made once and kept. Of the box: the mirror that it installs from. */
async function debian(): Promise<string> {
  const folder = path.join(cacheRoot(), 'machines', suite);
  const done = path.join(folder, '.done');
  if (existsSync(done)) return folder;
  await ensurePackages(terminalReporter(), [{ name: 'debootstrap', proof: 'debootstrap' }]);
  const include = 'iproute2,iptables,procps,kmod,ca-certificates,curl,gpgv,openssl';
  await run('debootstrap', ['--variant=minbase', `--include=${include}`, suite, folder, await mirror()]);
  writeFileSync(done, '');
  return folder;
}

async function mirror(): Promise<string> {
  const said = await run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE)']);
  const line = said.split('\n').find((each) => each.endsWith(` ${suite}`));
  if (!line) throw new Error(`this box has no repository of ${suite}`);
  return line.split(' ')[0]!;
}

/** What a machine can install from. */
export interface Sources {
  url: string;
  /** Paths that were asked for. */
  asked: string[];
  close(): void;
}

/**
 * Hands Debian's mirror on, and serves kubelet and kubeadm with the CNI plugins as pkgs.k8s.io has them: a flat repository, signed by a key of its own.
 *
 * @param address of the box, on the sandbox's bridge
 */
export async function serveSources(
  address: string,
  version: string,
  programs: Record<string, string>,
): Promise<Sources> {
  const folder = mkdtempSync(path.join(tmpdir(), 'repository-'));
  const below = `core:/stable:/v${version.split('.').slice(0, 2).join('.')}/deb`;
  await makeRepository(path.join(folder, below), version, programs);
  const from = new URL(await mirror());
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const wanted = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    asked.push(wanted);
    const file = path.join(folder, wanted);
    if (existsSync(file) && statSync(file).isFile()) createReadStream(file).pipe(response);
    else if (wanted.startsWith('/debian/'))
      fetch(new URL(`${from.pathname.replace(/\/$/, '')}/${wanted.slice('/debian/'.length)}`, from)).then(
        async (answer) => {
          response.writeHead(answer.status);
          response.end(Buffer.from(await answer.arrayBuffer()));
        },
        () => response.writeHead(502).end(),
      );
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://${address}:${port}`, asked, close: () => server.close() };
}

async function makeRepository(folder: string, version: string, programs: Record<string, string>): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const packages: string[] = [];
  for (const [name, program] of Object.entries(programs))
    packages.push(
      await makePackage(
        folder,
        name,
        version,
        { [`usr/bin/${name}`]: program },
        name === 'kubelet' ? 'kubernetes-cni' : '',
      ),
    );
  const plugins = Object.fromEntries(
    ['bridge', 'host-local', 'loopback', 'portmap'].map((name) => [`opt/cni/bin/${name}`, `/usr/lib/cni/${name}`]),
  );
  packages.push(await makePackage(folder, 'kubernetes-cni', '1.8.0', plugins, ''));
  const index = packages.join('\n');
  writeFileSync(path.join(folder, 'Packages'), index);
  writeFileSync(path.join(folder, 'Packages.gz'), gzipSync(index));
  const sums = ['Packages', 'Packages.gz'].map((file) => {
    const content = readFileSync(path.join(folder, file));
    return ` ${createHash('sha256').update(content).digest('hex')} ${content.length} ${file}`;
  });
  writeFileSync(
    path.join(folder, 'Release'),
    `Origin: test\nDate: ${new Date().toUTCString()}\nSHA256:\n${sums.join('\n')}\n`,
  );
  await sign(folder);
}

/** @returns what stands about it in Packages */
async function makePackage(
  folder: string,
  name: string,
  version: string,
  files: Record<string, string>,
  needs: string,
) {
  const tree = mkdtempSync(path.join(tmpdir(), 'package-'));
  for (const [place, source] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(tree, place)), { recursive: true });
    cpSync(source, path.join(tree, place), { dereference: true });
  }
  const control = `Package: ${name}\nVersion: ${version}-1.1\nArchitecture: amd64\nMaintainer: a test <nobody@example.com>\n${needs && `Depends: ${needs}\n`}Description: ${name}\n`;
  mkdirSync(path.join(tree, 'DEBIAN'));
  writeFileSync(path.join(tree, 'DEBIAN/control'), control);
  const file = `${name}.deb`;
  await run('dpkg-deb', ['-Zgzip', '-z1', '--root-owner-group', '-b', tree, path.join(folder, file)]);
  rmSync(tree, { recursive: true });
  const content = readFileSync(path.join(folder, file));
  return `${control}Filename: ./${file}\nSize: ${content.length}\nSHA256: ${createHash('sha256').update(content).digest('hex')}\n`;
}

async function sign(folder: string): Promise<void> {
  const env = { ...process.env, GNUPGHOME: mkdtempSync(path.join(tmpdir(), 'gnupg-')) };
  const gpg = (...args: string[]) =>
    run('gpg', ['--batch', '--yes', '--pinentry-mode', 'loopback', '--passphrase', '', ...args], { cwd: folder, env });
  await gpg('--quick-generate-key', 'a test <nobody@example.com>', 'rsa2048', 'sign', '1d');
  await gpg('--clearsign', '-o', 'InRelease', 'Release');
  await gpg('--armor', '--output', 'Release.key', '--export');
}

/** What `systemctl` does with the units of these machines, which run no systemd: it keeps the pid of what it starts. */
const systemctl = `#!/bin/sh
command=$1; shift
for unit in "$@"; do
  case $unit in -*) continue ;; esac
  name=\${unit%.service}
  pid=/run/$name.pid
  file=/etc/systemd/system/$name.service
  [ -e "$file" ] || file=/lib/systemd/system/$name.service
  case $command in
    stop | restart) [ ! -e "$pid" ] || { kill "$(cat "$pid")" 2>/dev/null; sleep 1; rm -f "$pid"; } ;;
  esac
  case $command in
    start | restart)
      [ ! -e "$pid" ] || ! kill -0 "$(cat "$pid")" 2>/dev/null || continue
      line=$(sed -e ':a' -e '/\\\\$/N; s/\\\\\\n//; ta' "$file" | sed -n 's/^ExecStart=//p' | tail -n 1)
      setsid sh -c "exec $line" >"/var/log/$name.log" 2>&1 </dev/null &
      echo $! >"$pid"
      ;;
  esac
done
exit 0
`;

/** containerd's settings of a box without CAP_SYS_RESOURCE; join has nothing to change in them. */
const containerdSettings = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;

/** Gives the machine a root of its own, in a mount namespace of its own. The box's root is never written to. */
export async function makeBare(state: SandboxState, machine: MachineState, sources: Sources): Promise<void> {
  const folder = path.join(machineFolder(state, machine), 'debian');
  await run('cp', ['-a', '--reflink=auto', await debian(), folder]);
  const text = (file: string, content: string, mode = 0o644) => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), content, { mode });
  };
  text('etc/apt/sources.list', `deb ${sources.url}/debian ${suite} main\n`);
  text('usr/bin/systemctl', systemctl, 0o755);
  text('usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755);
  text('etc/containerd/config.toml', containerdSettings);
  text('etc/kubernetes/kubelet.conf.d/sandbox.conf', dump(boxSettings(state, machine)));
  text('etc/hosts', '127.0.0.1 localhost\n');
  text('etc/resolv.conf', await inside(machine, ['cat', '/etc/resolv.conf']));
  const begin = `set -eu
mount --bind "$0" ${root}
for each in proc sys dev; do mount --rbind /$each ${root}/$each; done
mount -t tmpfs -o mode=755 tmpfs ${root}/run
mount -t tmpfs tmpfs ${root}/tmp
cd ${root}
mkdir -p .box
pivot_root . .box
umount -l /.box
mount --make-rshared /
exec sleep infinity`;
  spawn(...onMachine(state, machine, machine.init!.pid, ['unshare', '--mount', 'sh', '-c', begin, folder]), {
    stdio: 'inherit',
  }).unref();
  await eventually(20, async () => expect(holderOf(state, machine)).toBeDefined());
}

const cgroupOf = (state: SandboxState, machine: MachineState) =>
  path.join('/sys/fs/cgroup/unified', machineCgroup(state, machine), 'cgroup.procs');

/** A program with its arguments, in the machine's cgroup and in the namespaces of a process. */
function onMachine(state: SandboxState, machine: MachineState, pid: number, command: string[]): [string, string[]] {
  const enter = ['nsenter', '-t', String(pid), '-a', ...command];
  return ['sh', ['-c', 'echo $$ > "$0" && exec "$@"', cgroupOf(state, machine), ...enter]];
}

/**
 * The process that holds the mount namespace with the bare root. A chroot would not do: what runc starts in a container that runs already
 * (exec, hooks after the start) comes into the root of the mount namespace, which is the box's there.
 */
function holderOf(state: SandboxState, machine: MachineState): number | undefined {
  const pids = readFileSync(cgroupOf(state, machine), 'utf8').trim().split('\n').map(Number);
  return pids.find((pid) => {
    try {
      return (
        readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'sleep\0infinity\0' && existsSync(`/proc/${pid}/root/.box`)
      );
    } catch {
      return false;
    }
  });
}

/** A command on the machine. It ends at once where the root is not the machine's own. */
export async function onBare(
  state: SandboxState,
  machine: MachineState,
  command: string,
  input = '',
): Promise<{ code: number; output: string }> {
  const guarded = `[ "$(cat /usr/sbin/policy-rc.d 2>/dev/null | tail -n 1)" = "exit 101" ] || exit 99
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
${command}`;
  const shell = ['env', '-i', '/bin/sh', '-c', guarded];
  const child = spawn(...onMachine(state, machine, holderOf(state, machine)!, shell), {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => (output += chunk));
  child.stdin.on('error', () => {}).end(input);
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)));
  return { code, output };
}

/** Gives the machine's containerd the images that its pods need; it can pull none. */
export async function importImages(state: SandboxState, machine: MachineState, archives: string[]): Promise<void> {
  for (const archive of archives) {
    const name = `${path.basename(path.dirname(path.dirname(path.dirname(archive))))}.tar`;
    cpSync(archive, path.join(machineFolder(state, machine), 'debian/root', name));
    const done = await onBare(state, machine, `ctr -n k8s.io images import /root/${name} && rm /root/${name}`);
    if (done.code !== 0) throw new Error(done.output);
  }
}
