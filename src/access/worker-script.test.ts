import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { load } from 'js-yaml';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import type { Addresses } from '../plane/addresses.ts';
import { isWorkerScript, workerScript } from './worker-script.ts';

// worker.sh in the shells that workers have, in a folder that stands in for the machine.

// The script starts some hundred processes, which takes long on a busy box.
vi.setConfig({ testTimeout: 60_000 });

const server = 'https://k.example.com:443';
const tls = '/etc/kubernetes/tls';
const addresses = { workerServer: server, nodePort: 31234 } as Addresses;
const spec = (more: object = {}) => parseSpec({ host: 'k.example.com', kubernetesVersion: '1.37.2', ...more }, 'here');

/** What worker.sh asks of programs; functions, because BusyBox asks no PATH for what it has itself. */
const programs = `
id() { echo "\${WHO:-0}"; }
hostname() { echo "\${NAME:-worker-1}"; }
getent() { [ "$2" != k.example.com ] || echo '10.0.0.1 STREAM k.example.com'; }
ip() {
  case "$*" in
    'route get'*) [ -z "$WAY" ] || echo "$3 via 10.0.0.254 dev eth0 src $WAY uid 0" ;;
    '-6 route'*) echo "$ROUTE6" ;;
    '-o -6'*) for each in $IPV6; do echo "1: \${each%%=*}    inet6 \${each#*=}/64 scope global x"; done ;;
    *) printf '1: %s    inet %s/24 brd 10.0.0.255 scope global x\\n' lo 127.0.0.1 eth0 10.0.0.5 eth1 192.168.7.5 ;;
  esac
}
curl() {
  cat >/dev/null
  case "$REFUSED $*" in ?*--cacert*) [ -z "$REFUSED" ] || { echo "curl: (60) $REFUSED"; return 60; } ;; esac
  printf 'HTTP/2 %s\\r\\ndate: %s\\r\\n\\r\\n' "\${CODE:-200}" "$DATE"
}
modprobe() { return 1; }
df() { printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/vda 100 20 80 %s%% /\\n' "\${FULL:-20}"; }
`;

const certificate = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n${text}\n-----END CERTIFICATE-----\n`;
const kubeconfig = (at: string, authority: string, token = 'abcdef.0123456789abcdef') =>
  `apiVersion: v1\nclusters:\n  - name: k\n    cluster:\n      server: ${at}\n      certificate-authority-data: ${Buffer.from(authority).toString('base64')}\nusers:\n  - name: k\n    user:\n      token: ${token}\n`;

/** A machine that can be a worker: cgroup v2, systemd, containerd 2. */
const machine: Record<string, string> = {
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  '/proc/swaps': 'Filename Type Size Used Priority\n',
  '/proc/sys/net/ipv4/ip_forward': '1\n',
  '/proc/sys/net/bridge/bridge-nf-call-iptables': '1\n',
  '/sys/module/vxlan/refcnt': '1\n',
  '/sys/class/net/eth0/mtu': '1450\n',
  '/run/systemd/system/x': '',
  '/etc/resolv.conf': 'search example.com\nnameserver 10.0.0.53\n',
  '/etc/containerd/config.toml': containerd2(true),
  '/etc/kubernetes/tls/kubeconfig-kubelets': kubeconfig(server, certificate('ours')),
  '/etc/kubernetes/tls/ca.pem': certificate('ours'),
  ...Object.fromEntries(['bridge', 'host-local', 'loopback', 'portmap'].map((name) => [`/opt/cni/bin/${name}`, ''])),
};

function containerd2(systemd: boolean, runtime = 'runc'): string {
  return `version = 3
disabled_plugins = []
[plugins]
  [plugins.'io.containerd.cri.v1.runtime']
    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = '${runtime}'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.other.options]
        SystemdCgroup = ${!systemd}
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.${runtime}.options]
        BinaryName = ''
        SystemdCgroup = ${systemd} # so
    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['/opt/cni/bin']
      conf_dir = '/etc/cni/net.d'
`;
}

const containerd1 = (systemd: boolean) => `version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = ${systemd}
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
`;

const cgroup1 = {
  '/sys/fs/cgroup/cgroup.controllers': undefined,
  '/proc/cgroups': '#subsys_name hierarchy num_cgroups enabled\ncpu 1 1 1\nmemory 4 56 1\npids 8 1 1\n',
};

let root: string;
let containerd: Server;

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'worker-'));
  mkdirSync(path.join(root, 'run/containerd'), { recursive: true });
  containerd = createServer();
  await new Promise<void>((done) => containerd.listen(path.join(root, 'run/containerd/containerd.sock'), done));
});

afterEach(async () => {
  await new Promise((done) => containerd.close(done));
  rmSync(root, { recursive: true, force: true });
});

type Change = Record<string, string | undefined>;

/** Writes the files of `machine`, with those of `change` in their place. */
function furnish(change: Change = {}): void {
  for (const [file, text] of Object.entries({ ...machine, ...change })) {
    const place = path.join(root, file);
    if (text === undefined) continue;
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
    if (file.startsWith('/opt/cni/bin')) chmodSync(place, 0o755);
  }
  const kubelet = path.join(root, 'usr/bin/kubelet');
  mkdirSync(path.dirname(kubelet), { recursive: true });
  writeFileSync(kubelet, '#!/bin/sh\necho Kubernetes v1.37.1\n', { mode: 0o755 });
}

const named = (word: string, text: string) =>
  [...text.matchAll(new RegExp(`^${word}  ([a-z0-9-]+):`, 'gm'))].map(([, name]) => name!);
const failuresOf = (text: string) => named('FAIL', text);

interface Ran {
  code: number | null;
  out: string;
  /** Names of checks by what came out. */
  failed: string[];
  warned: string[];
}

function runIn(
  shell: string[],
  subcommand: string,
  env: NodeJS.ProcessEnv = {},
  script = workerScript(spec(), addresses),
): Ran {
  const file = path.join(root, 'worker.sh');
  writeFileSync(file, script);
  const { status, stdout, stderr } = spawnSync(
    shell[0]!,
    [...shell.slice(1), '-c', `${programs}\n. "$0" "$@"`, file, subcommand],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        K8SK8S_ROOT: root,
        KUBELET: '/usr/bin/kubelet',
        WAY: '10.0.0.5',
        DATE: new Date().toUTCString(),
        ...env,
      },
    },
  );
  return { code: status, out: stdout + stderr, failed: failuresOf(stdout), warned: named('WARN', stdout) };
}

const written = (file: string) => readFileSync(path.join(root, file), 'utf8');
const configuration = () => load(written('/var/lib/kubelet/config.yaml')) as Record<string, unknown>;

const shells = [['sh'], ['busybox', 'ash']].filter(([program]) => spawnSync(program!, ['--help']).error === undefined);

describe.each(shells.map((shell) => [shell.join(' '), shell] as const))('%s', (_, shell) => {
  const check = (env?: NodeJS.ProcessEnv) => runIn(shell, 'check', env);
  const configure = (env?: NodeJS.ProcessEnv) => runIn(shell, 'configure', env);

  test('a machine that can be a worker passes, and is configured', () => {
    furnish();
    expect(check(), check().out).toMatchObject({ code: 0, failed: [], warned: [] });
    expect(existsSync(path.join(root, 'var/lib/kubelet')), 'check changes nothing').toBe(false);
    const first = configure();
    expect(first.code, first.out).toBe(0);
    expect(configuration()).toMatchObject({
      cgroupDriver: 'systemd',
      resolvConf: '/etc/resolv.conf',
      clusterDNS: ['10.3.0.10'],
      authentication: { x509: { clientCAFile: '/etc/kubernetes/tls/ca.pem' } },
    });
    expect(configuration()).not.toHaveProperty('failCgroupV1');
    expect(written('/etc/systemd/system/kubelet.service')).toMatch(/--node-ip=10\.0\.0\.5\n/);
    expect(configure().out).not.toContain(' written');
  });

  test.each([
    ['containerd 2, systemd', containerd2(true), 'systemd'],
    ['containerd 2, its default runtime counts', containerd2(true, 'crun'), 'systemd'],
    ['containerd 2, cgroupfs', containerd2(false), 'cgroupfs'],
    ['containerd 1, systemd', containerd1(true), 'systemd'],
    ['containerd 1, cgroupfs', containerd1(false), 'cgroupfs'],
    ['no configuration', undefined, 'cgroupfs'],
  ])('the driver of cgroups is that of containerd: %s', (_name, toml, driver) => {
    furnish({ '/etc/containerd/config.toml': toml, '/run/systemd/system/x': undefined });
    configure();
    expect(configuration()).toMatchObject({ cgroupDriver: driver });
    expect(check().failed).toEqual(driver === 'systemd' ? ['cgroup-driver'] : []);
  });

  test('W1: a kubelet on cgroup v1 is told to start there', () => {
    furnish(cgroup1);
    expect(check().failed).toEqual([]);
    configure();
    expect(configuration()).toMatchObject({ failCgroupV1: false });
  });

  test.each([
    ['systemd-resolved', '/run/systemd/resolve/resolv.conf', '127.0.0.53'],
    ['NetworkManager', '/run/NetworkManager/no-stub-resolv.conf', '127.0.0.1'],
  ])('pods get the resolvers behind %s', (_name, upstream, stub) => {
    furnish({ '/etc/resolv.conf': `nameserver ${stub}\n`, [upstream]: 'nameserver 10.0.0.54\n' });
    expect(check().failed).toEqual([]);
    configure();
    expect(configuration()).toMatchObject({ resolvConf: upstream });
  });

  test('W2: a resolver of the machine alone is refused, unless another file is named', () => {
    furnish({ '/etc/resolv.conf': 'nameserver 127.0.0.1\n', '/etc/own.conf': 'nameserver 10.0.0.54\n' });
    expect(check().failed).toEqual(['resolver']);
    expect(configure()).toMatchObject({ code: 1, failed: ['resolver'] });
    expect(existsSync(path.join(root, 'var/lib/kubelet/config.yaml'))).toBe(false);
    expect(configure({ RESOLV_CONF: '/etc/own.conf' }).code).toBe(0);
    expect(configuration()).toMatchObject({ resolvConf: '/etc/own.conf' });
  });

  test('of several addresses the one towards the API server is taken, or the one that is chosen', () => {
    furnish();
    const nodeIp = () => /--node-ip=(\S+)/.exec(written('/etc/systemd/system/kubelet.service'))?.[1];
    configure({ WAY: '192.168.7.5' });
    expect(nodeIp()).toBe('192.168.7.5');
    writeFileSync(path.join(root, 'etc/kubernetes/worker.env'), 'NODE_IP=10.0.0.5\n');
    configure({ WAY: '192.168.7.5' });
    expect(nodeIp()).toBe('10.0.0.5');
    configure({ NODE_IP: '192.168.7.5' });
    expect(nodeIp()).toBe('192.168.7.5');
    expect(configure({ NODE_IP: '10.9.9.9' })).toMatchObject({ code: 1, failed: ['address'] });
    expect(check().out).toContain('192.168.7.5');
  });

  test('what is reached without a proxy: HOST, the networks of the cluster, the own one, and what is listed', () => {
    furnish();
    const { code, out } = runIn(shell, 'without-proxy', { NO_PROXY: '.example.com' });
    expect(code).toBe(0);
    expect(out.split(',')).toEqual(
      expect.arrayContaining(['k.example.com', '10.2.0.0/16', '10.3.0.0/16', '.cluster.local', '.example.com']),
    );
  });

  test('of a plane of two families a worker has two addresses, and its kernel passes packets of both on', () => {
    const twoFamilies = { serviceCidr: '10.3.0.0/16,fd00:3::/108', podCidr: '10.2.0.0/16,fd00:2::/56' };
    const script = workerScript(spec(twoFamilies), addresses);
    const nodeIp = () => /--node-ip=(\S+)/.exec(written('/etc/systemd/system/kubelet.service'))?.[1];
    const switches = {
      '/proc/sys/net/ipv6/conf/all/forwarding': '1\n',
      '/proc/sys/net/bridge/bridge-nf-call-ip6tables': '1\n',
    };
    furnish();
    expect(runIn(shell, 'check', {}, script).failed).toEqual(['ipv6-forwarding', 'ipv6-bridge', 'ipv6-address']);
    expect(runIn(shell, 'configure', {}, script)).toMatchObject({ code: 1, failed: ['ipv6-address'] });
    furnish(switches);
    const IPV6 = 'eth1=fd12::7 eth0=fd12::5';
    expect(runIn(shell, 'check', { IPV6 }, script)).toMatchObject({ code: 0, failed: [], warned: ['ipv6-route'] });
    const ROUTE6 = 'default via fd12::1 dev eth0';
    expect(runIn(shell, 'check', { IPV6, ROUTE6 }, script)).toMatchObject({ code: 0, failed: [], warned: [] });
    runIn(shell, 'configure', { IPV6 }, script);
    expect(nodeIp()).toBe('10.0.0.5,fd12::5');
    runIn(shell, 'configure', { IPV6, NODE_IP: '192.168.7.5,fd12::7' }, script);
    expect(nodeIp()).toBe('192.168.7.5,fd12::7');
    expect(runIn(shell, 'configure', { IPV6, NODE_IP: '10.0.0.5,fd12::9' }, script).failed).toEqual(['ipv6-address']);
    expect(written('/var/lib/kubelet/config.yaml')).toContain('10.3.0.10');
  });

  test('without a word of ip about the way, the device of the default route has the address', () => {
    furnish({ '/proc/net/route': 'Iface Destination Gateway\neth0 0000000A 00000000\neth1 00000000 FE00000A\n' });
    configure({ WAY: '' });
    expect(written('/etc/systemd/system/kubelet.service')).toContain('--node-ip=192.168.7.5');
  });

  test.each<[string, Change, NodeJS.ProcessEnv?]>([
    ['root', {}, { WHO: '1000' }],
    ['hostname', {}, { NAME: 'my_machine' }],
    ['cgroup', { '/sys/fs/cgroup/cgroup.controllers': 'cpu io pids\n' }],
    ['cgroup', { ...cgroup1, '/proc/cgroups': 'cpu 1 1 1\nmemory 0 1 0\npids 8 1 1\n' }],
    ['swap', { '/proc/swaps': 'Filename Type Size Used Priority\n/swapfile file 1 0 -2\n' }],
    ['forwarding', { '/proc/sys/net/ipv4/ip_forward': '0\n' }],
    ['bridge', { '/proc/sys/net/bridge/bridge-nf-call-iptables': undefined }],
    ['cri', { '/etc/containerd/config.toml': 'disabled_plugins = ["cri"]\n' }],
    ['cni', { '/opt/cni/bin/portmap': undefined }],
    ['cni', { '/etc/containerd/config.toml': containerd1(true).replace('/opt/cni/bin', '/usr/lib/cni') }],
    ['cni-network', { '/etc/cni/net.d/05-other.conf': '{}' }],
    ['cni-network', { '/etc/containerd/config.toml': containerd2(true).replace('/etc/cni/net.d', '/etc/other') }],
    ['kubelet', {}, { KUBELET: '/usr/bin/none' }],
    ['kubelet-unit', { '/usr/lib/systemd/system/kubelet.service.d/10.conf': '[Service]\nExecStart=\nExecStart=/x\n' }],
    ['port', { '/proc/net/tcp': 'sl local rem st\n 0: 00000000:280A 00000000:0000 0A\n' }],
    ['files', { '/etc/kubernetes/tls/ca.pem': undefined }],
    ['host', { '/etc/kubernetes/tls/kubeconfig-kubelets': kubeconfig('https://no.example.com', 'x') }],
    ['server', {}, { REFUSED: 'unable to get local issuer certificate' }],
    ['clock', {}, { DATE: new Date(Date.now() - 3_600_000).toUTCString() }],
    ['clock', {}, { REFUSED: 'not yet valid', DATE: new Date(Date.now() + 3_600_000).toUTCString() }],
    ['token', {}, { CODE: '401' }],
  ])('what is wrong is said with its reason and its remedy: %s', (name, change, env) => {
    furnish(change);
    const { code, failed, out } = check(env);
    expect(failed, out).toContain(name);
    expect(failed.filter((each) => each !== name && each !== 'cni')).toEqual([]);
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`^FAIL  ${name}: .+\\n      why: .+\\n      fix: .+$`, 'm'));
    expect(out).not.toContain('abcdef.0123456789abcdef');
  });

  test('what may go well is warned of', () => {
    furnish({ '/sys/module/vxlan/refcnt': undefined, '/etc/containerd/config.toml': containerd2(false) });
    expect(check({ FULL: '90' })).toMatchObject({ code: 0, warned: ['vxlan', 'cgroup-driver', 'disk'] });
  });

  test('a machine of another cluster is refused; one of this plane follows its HOST', () => {
    const joined = (at: string, authority: string) =>
      furnish({ '/var/lib/kubelet/kubeconfig': kubeconfig(at, certificate(authority)) });
    joined(server, 'theirs');
    expect(check().failed).toEqual(['earlier-join']);
    joined('https://old.example.com:443', 'ours');
    // The kubelet has a certificate of its own, and needs no token any more.
    expect(check({ CODE: '401' })).toMatchObject({ code: 0, failed: [] });
    expect(configure().out).toContain('/var/lib/kubelet/kubeconfig written');
    expect(written('/var/lib/kubelet/kubeconfig')).toBe(kubeconfig(server, certificate('ours')));
    // While the CA is replaced, ca.pem has both.
    furnish({ '/etc/kubernetes/tls/ca.pem': certificate('next') + certificate('ours') });
    expect(check().failed).toEqual([]);
  });

  test('with --in-cluster loopback the relay is a unit of its own', () => {
    furnish();
    const script = workerScript(spec({ inCluster: 'loopback' }), addresses);
    const { out } = runIn(shell, 'configure', {}, script);
    expect(out).toContain('systemctl enable k8s-relay kubelet');
    expect(written('/etc/systemd/system/k8s-relay.service')).toContain('TCP:k.example.com:31234');
    expect(runIn(shell, 'other').code).toBe(2);
  });

  test('with --tunnel-host the relay leads by that name, with the certificate of the node', () => {
    furnish();
    const script = workerScript(spec({ inCluster: 'loopback', tunnelHost: 't.example.com' }), addresses);
    runIn(shell, 'configure', {}, script);
    const unit = written('/etc/systemd/system/k8s-relay.service');
    expect(unit).toContain('OPENSSL:t.example.com:443,snihost=t.example.com,commonname=t.example.com,verify=1,');
    expect(unit).not.toContain('31234 TCP:');
  });
});

describe.each(['curl', 'openssl'])('what answers at HOST, asked with %s', (tool) => {
  let authority: string;
  let api: ReturnType<typeof createTlsServer>;
  /** `behind`: milliseconds by which its clock is late. */
  const answer = { status: 200, behind: 0 };

  beforeAll(async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'worker-tls-'));
    const [key, certificate] = ['key', 'crt'].map((name) => path.join(folder, name));
    const made = ['-keyout', key!, '-out', certificate!, '-subj', '/CN=api', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...curve, ...made], { stdio: 'ignore' });
    authority = readFileSync(certificate!, 'utf8');
    api = createTlsServer({ key: readFileSync(key!), cert: authority }, (_, response) => {
      response.sendDate = false;
      response.writeHead(answer.status, { date: new Date(Date.now() - answer.behind).toUTCString() }).end('ok');
    });
    await new Promise<void>((done) => api.listen(0, '127.0.0.1', done));
    rmSync(folder, { recursive: true });
  });
  afterAll(() => api.close());

  /** With the programs of this box. @param trusted in ca.pem */
  async function failures(trusted: string): Promise<string[]> {
    const { port } = api.address() as AddressInfo;
    const at = `https://127.0.0.1:${port}`;
    furnish({ [`${tls}/kubeconfig-kubelets`]: kubeconfig(at, trusted), [`${tls}/ca.pem`]: trusted });
    const fakes = programs.replace(/^curl[\s\S]*?^}\n/m, '');
    const script = workerScript(spec(), addresses);
    writeFileSync(path.join(root, 'worker.sh'), tool === 'curl' ? script : script.replaceAll('has curl', 'false'));
    const env = { PATH: process.env.PATH, K8SK8S_ROOT: root, KUBELET: '/usr/bin/kubelet', NODE_IP: '10.0.0.5' };
    const args = ['-c', `${fakes}\n. "$0" "$@"`, path.join(root, 'worker.sh'), 'check'];
    const { stdout } = await promisify(execFile)('sh', args, { env }).catch((error: { stdout: string }) => error);
    return failuresOf(stdout);
  }

  test('is this plane, or is not', async () => {
    expect(await failures(authority)).toEqual([]);
    const anew = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null', '-subj', '/CN=x'];
    const other = execFileSync('openssl', anew, { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(await failures(other.toString())).toEqual(['server']);
  });

  test('has another time, and does not know the token', async () => {
    answer.behind = 600_000;
    expect(await failures(authority)).toEqual(['clock']);
    Object.assign(answer, { behind: 0, status: 401 });
    expect(await failures(authority)).toEqual(tool === 'curl' ? ['token'] : []);
    Object.assign(answer, { status: 200 });
  });
});

test('a worker.sh is told from any other file of that name, and has no secret', () => {
  expect(isWorkerScript(workerScript(spec(), addresses))).toBe(true);
  expect(isWorkerScript('#!/bin/sh\n')).toBe(false);
  expect(workerScript(spec({ featureGates: { Some: 'true' } }), addresses)).toContain('Some: true');
});
