import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { addresses, type Change, spec, standInMachine } from './worker-script.fixture.ts';
import { workerScript } from './worker-script.ts';

// worker.sh join and leave, with programs in the place of those that would change the machine that the tests run on: they write down
// how they were called, and what they answer is a test's to say.

// The script starts some hundred processes, which takes long on a busy box.
vi.setConfig({ testTimeout: 60_000 });

const { at, furnish, read, run } = standInMachine();
const shells = [['sh'], ['busybox', 'ash']].filter(([program]) => spawnSync(program!, ['--help']).error === undefined);

/** Functions, because BusyBox asks no PATH for what it has itself. Those with a hyphen, which no function can have, it has not. */
const noted = ['systemctl', 'sysctl', 'ctr', 'tc', 'dpkg', 'sleep', 'swapoff', 'setenforce'];
const recorders = `
note() { echo "$*" >>"$K8SK8S_ROOT/calls"; }
${noted.map((name) => `${name}() { note ${name} "$@"; }`).join('\n')}
umount() { note umount "$@"; grep -v " $1 " "$K8SK8S_ROOT/proc/mounts" >"$K8SK8S_ROOT/mounts"; mv "$K8SK8S_ROOT/mounts" "$K8SK8S_ROOT/proc/mounts"; }
getenforce() { echo Disabled; }
containerd() { echo 'version = 3'; }
kubelet() { echo "Kubernetes v\${INSTALLED:-1.37.2}"; }
curl() { while [ $# -gt 1 ]; do [ "$1" != -o ] || : >"$2"; shift; done; }
`;

const script = (more: object = {}, extra = '') => `${recorders}${extra}${workerScript(spec(more), addresses)}`;

function program(name: string, text: string): void {
  mkdirSync(at('programs'), { recursive: true });
  writeFileSync(at(`programs/${name}`), `#!/bin/sh\necho "${name} $*" >>"$K8SK8S_ROOT/calls"\n${text}\n`, {
    mode: 0o755,
  });
}

const calls = () => (existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').trim().split('\n') : []);
const forgetCalls = () => writeFileSync(at('calls'), '');

beforeEach(() => {
  for (const name of ['iptables-save', 'iptables-restore', 'ip6tables-save', 'ip6tables-restore', 'apt-mark'])
    program(name, '');
  program('apt-get', '');
});

describe.each(shells.map((shell) => [shell.join(' '), shell] as const))('%s', (_, shell) => {
  const does = (subcommand: string, env: NodeJS.ProcessEnv = {}, text = script()) =>
    run(shell, subcommand, { PATH: `${at('programs')}:${process.env.PATH}`, ...env }, text);
  const debian: Change = { '/etc/os-release': 'ID=debian\n', '/proc/mounts': '' };

  test('a proxy reaches containerd and the kubelet as it was given, also a containerd that runs, and goes when it is taken back', () => {
    furnish(debian);
    const dropin = '/etc/systemd/system/containerd.service.d/90-k8sk8s-proxy.conf';
    const HTTPS_PROXY = 'http://me:p%40ss"w@proxy.example.com:3128';
    expect(does('install', { HTTPS_PROXY }).code).toBe(0);
    expect(read(dropin)).toContain(String.raw`"HTTPS_PROXY=http://me:p%%40ss\"w@proxy.example.com:3128"`);
    expect(calls()).toContain('systemctl restart containerd');
    forgetCalls();
    does('install', { HTTPS_PROXY });
    expect(calls()).not.toContain('systemctl restart containerd');
    does('install');
    expect(existsSync(at(dropin))).toBe(false);
    expect(calls()).toContain('systemctl restart containerd');
  });

  test('the environment comes before the file, whatever it overrules', () => {
    furnish({ ...debian, '/etc/kubernetes/worker.env': "MIRROR='https://of-the-file.example.com'\n" });
    does('install', { INSTALLED: '1.36.1', MIRROR: 'https://given.example.com' });
    expect(read('/etc/apt/sources.list.d/k8sk8s-kubernetes.list')).toContain('https://given.example.com/');
    does('install', { INSTALLED: '1.36.1' });
    expect(read('/etc/apt/sources.list.d/k8sk8s-kubernetes.list')).toContain('https://of-the-file.example.com/');
  });

  test('join waits for the locks that the updates of a new machine hold, and for nothing else', () => {
    furnish(debian);
    const locked = 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (unattended-upgr)';
    program('apt-get', `[ $(grep -c "^apt-get" "$K8SK8S_ROOT/calls") -gt 3 ] || { echo '${locked}' >&2; exit 100; }`);
    expect(does('install', { INSTALLED: '1.36.1' })).toMatchObject({ code: 0, failed: [] });
    forgetCalls();
    program('apt-get', 'echo "E: The clock of this machine is wrong" >&2; exit 100');
    expect(does('install', { INSTALLED: '1.36.1' })).toMatchObject({ code: 1, failed: ['packages'] });
    expect(calls().filter((each) => each.startsWith('apt-get'))).toHaveLength(1);
  });

  test('a disk that is full costs no file that was there', () => {
    furnish();
    does('configure');
    const before = read('/var/lib/kubelet/config.yaml');
    const featureGates = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`Gate${index}`, 'true']));
    const { code, failed } = does('configure', {}, script({ featureGates }, 'ulimit -f 1\n'));
    expect({ code, failed }).toEqual({ code: 1, failed: ['write'] });
    expect(read('/var/lib/kubelet/config.yaml')).toBe(before);
    expect(existsSync(at('/var/lib/kubelet/config.yaml.new'))).toBe(false);
  });

  test('firewalld opens what the network driver of now needs, and closes what join has opened alone', () => {
    furnish(debian);
    writeFileSync(at('open'), 'port=10250/tcp\n');
    program(
      'firewall-cmd',
      `for each; do case $each in
  --query-*) exec grep -qxF -- "\${each#--query-}" "$K8SK8S_ROOT/open" ;;
  --add-*) echo "\${each#--add-}" >>"$K8SK8S_ROOT/open" ;;
  --remove-*) sed -i "\\|^\${each#--remove-}$|d" "$K8SK8S_ROOT/open" ;;
esac; done`,
    );
    const open = () => [...new Set(read('open').trim().split('\n'))];
    does('install', {}, script({ flannelPort: 4789 }));
    expect(open()).toEqual(expect.arrayContaining(['port=4789/udp', 'source=10.2.0.0/16', 'port=30000-32767/tcp']));
    does('install', {}, script());
    expect(open()).toContain('port=8472/udp');
    expect(open()).not.toContain('port=4789/udp');
    does('leave');
    expect(open()).toEqual(['port=10250/tcp']);
  });

  test('a relay that the plane does not have any more goes with its address', () => {
    furnish();
    does('configure', {}, script({ inCluster: 'loopback' }));
    expect(existsSync(at('/etc/systemd/system/k8s-relay.service'))).toBe(true);
    const ip = 'ip() { note ip "$@"; case "$*" in *show*) echo "2: eth0    inet 10.0.0.5/24" ;; esac; }\n';
    does('configure', { NODE_IP: '10.0.0.5' }, script({}, ip));
    expect(existsSync(at('/etc/systemd/system/k8s-relay.service'))).toBe(false);
    expect(calls()).toEqual(
      expect.arrayContaining(['systemctl stop k8s-relay', expect.stringMatching(/^ip address delete \S+\/32 dev lo$/)]),
    );
  });

  test('nothing of a network driver is left when the machine leaves, and what is of others stays', () => {
    const mounts = [`cgroup2 ${at('run/cilium/cgroupv2')} cgroup2 rw`, 'tmpfs /run tmpfs rw', ''].join('\n');
    furnish({
      '/proc/mounts': mounts,
      '/run/netns/cni-1': '',
      '/run/netns/other': '',
      '/run/cilium/state': '',
      '/etc/cni/net.d/05-cilium.conflist': '{}',
      '/etc/cni/net.d/87-podman.conflist.cilium_bak': '{}',
      '/sys/fs/bpf/tc/globals/cilium_lb4': '',
      '/var/log/pods/x/0.log': 'said',
      '/etc/apt/sources.list.d/k8sk8s-kubernetes.list': '',
    });
    const links = [
      '1: lo: <UP>',
      '2: eth0: <UP>',
      '3: cni0: <UP>',
      '4: veth1@if2: <UP> master cni0 state UP',
      '5: veth2@if2: <UP> master docker0 state UP',
      '6: cilium_vxlan: <UP>',
      '7: lxc0123456789ab@if2: <UP>',
      '8: lxcbr0: <UP>',
    ];
    const ip = `ip() { case "$*" in *'link show') printf '%s\\n' ${links.map((each) => `'${each}'`).join(' ')} ;; *) note ip "$@" ;; esac; }\n`;
    const { code, out } = does('leave', {}, script({}, ip));
    expect(code, out).toBe(0);
    expect(
      calls()
        .filter((each) => each.startsWith('ip link'))
        .sort(),
    ).toEqual(['cilium_vxlan', 'cni0', 'lxc0123456789ab', 'veth1'].map((name) => `ip link delete ${name}`));
    expect(calls()).toEqual(expect.arrayContaining([`umount ${at('run/cilium/cgroupv2')}`, 'systemctl stop kubelet']));
    const there = ['/run/netns/other', '/etc/cni/net.d/87-podman.conflist'];
    const gone = ['/run/netns/cni-1', '/run/cilium', '/etc/cni/net.d/05-cilium.conflist', '/var/log/pods'];
    const ours = ['/sys/fs/bpf/tc/globals/cilium_lb4', '/etc/apt/sources.list.d/k8sk8s-kubernetes.list'];
    expect([...there, ...gone, ...ours].filter((file) => existsSync(at(file)))).toEqual(there);
  });

  test('a machine that kubeadm has joined is not told to delete its identity', () => {
    furnish({ '/etc/kubernetes/kubelet.conf': '' });
    const { failed, out } = does('check', {}, script().replace('way=${2:-}', 'way=kubeadm'));
    expect(failed).toEqual(['earlier-join']);
    expect(out).toContain('kubeadm reset');
    expect(out).not.toContain('rm -rf');
  });
});
