import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import {
  addresses,
  type Change,
  certificate,
  cgroup1,
  containerd1,
  containerd2,
  kubeconfig,
  server,
  spec,
  standInMachine,
} from './worker-script.fixture.ts';
import { isWorkerScript, workerScript } from './worker-script.ts';

// worker.sh in the shells that workers have, in a folder that stands in for the machine. What it says of the server at HOST is in
// worker-script-server.test.ts.

// The script starts some hundred processes, which takes long on a busy box.
vi.setConfig({ testTimeout: 60_000 });

const { at, read, configuration, furnish, run } = standInMachine();

const shells = [['sh'], ['busybox', 'ash']].filter(([program]) => spawnSync(program!, ['--help']).error === undefined);

describe.each(shells.map((shell) => [shell.join(' '), shell] as const))('%s', (_, shell) => {
  const check = (env?: NodeJS.ProcessEnv) => run(shell, 'check', env);
  const configure = (env?: NodeJS.ProcessEnv) => run(shell, 'configure', env);

  test('a machine that can be a worker passes, and is configured', () => {
    furnish();
    expect(check(), check().out).toMatchObject({ code: 0, failed: [], warned: [] });
    expect(existsSync(at('/var/lib/kubelet')), 'check changes nothing').toBe(false);
    const first = configure();
    expect(first.code, first.out).toBe(0);
    expect(configuration()).toMatchObject({
      cgroupDriver: 'systemd',
      resolvConf: '/etc/resolv.conf',
      clusterDNS: ['10.3.0.10'],
      authentication: { x509: { clientCAFile: '/etc/kubernetes/tls/ca.pem' } },
    });
    expect(configuration()).not.toHaveProperty('failCgroupV1');
    expect(read('/etc/systemd/system/kubelet.service')).toMatch(/--node-ip=10\.0\.0\.5\n/);
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
    expect(existsSync(at('/var/lib/kubelet/config.yaml'))).toBe(false);
    expect(configure({ RESOLV_CONF: '/etc/own.conf' }).code).toBe(0);
    expect(configuration()).toMatchObject({ resolvConf: '/etc/own.conf' });
  });

  test('of several addresses the one towards the API server is taken, or the one that is chosen', () => {
    furnish();
    const nodeIp = () => /--node-ip=(\S+)/.exec(read('/etc/systemd/system/kubelet.service'))?.[1];
    configure({ WAY: '192.168.7.5' });
    expect(nodeIp()).toBe('192.168.7.5');
    writeFileSync(at('/etc/kubernetes/worker.env'), 'NODE_IP=10.0.0.5\n');
    configure({ WAY: '192.168.7.5' });
    expect(nodeIp()).toBe('10.0.0.5');
    configure({ NODE_IP: '192.168.7.5' });
    expect(nodeIp()).toBe('192.168.7.5');
    expect(configure({ NODE_IP: '10.9.9.9' })).toMatchObject({ code: 1, failed: ['address'] });
    expect(check().out).toContain('192.168.7.5');
  });

  test('what is reached without a proxy: HOST, the networks of the cluster, the own one, and what is listed', () => {
    furnish();
    const { code, out } = run(shell, 'without-proxy', { NO_PROXY: '.example.com' });
    expect(code).toBe(0);
    expect(out.split(',')).toEqual(
      expect.arrayContaining(['k.example.com', '10.2.0.0/16', '10.3.0.0/16', '.cluster.local', '.example.com']),
    );
  });

  test('of a plane of two families a worker has two addresses, and its kernel passes packets of both on', () => {
    const twoFamilies = { serviceCidr: '10.3.0.0/16,fd00:3::/108', podCidr: '10.2.0.0/16,fd00:2::/56' };
    const script = workerScript(spec(twoFamilies), addresses);
    const nodeIp = () => /--node-ip=(\S+)/.exec(read('/etc/systemd/system/kubelet.service'))?.[1];
    const switches = {
      '/proc/sys/net/ipv6/conf/all/forwarding': '1\n',
      '/proc/sys/net/bridge/bridge-nf-call-ip6tables': '1\n',
    };
    furnish();
    expect(run(shell, 'check', {}, script).failed).toEqual(['ipv6-forwarding', 'ipv6-bridge', 'ipv6-address']);
    expect(run(shell, 'configure', {}, script)).toMatchObject({ code: 1, failed: ['ipv6-address'] });
    furnish(switches);
    const IPV6 = 'eth1=fd12::7 eth0=fd12::5';
    expect(run(shell, 'check', { IPV6 }, script)).toMatchObject({ code: 0, failed: [], warned: ['ipv6-route'] });
    const ROUTE6 = 'default via fd12::1 dev eth0';
    expect(run(shell, 'check', { IPV6, ROUTE6 }, script)).toMatchObject({ code: 0, failed: [], warned: [] });
    run(shell, 'configure', { IPV6 }, script);
    expect(nodeIp()).toBe('10.0.0.5,fd12::5');
    run(shell, 'configure', { IPV6, NODE_IP: '192.168.7.5,fd12::7' }, script);
    expect(nodeIp()).toBe('192.168.7.5,fd12::7');
    expect(run(shell, 'configure', { IPV6, NODE_IP: '10.0.0.5,fd12::9' }, script).failed).toEqual(['ipv6-address']);
    expect(read('/var/lib/kubelet/config.yaml')).toContain('10.3.0.10');
  });

  test('without a word of ip about the way, the device of the default route has the address', () => {
    furnish({ '/proc/net/route': 'Iface Destination Gateway\neth0 0000000A 00000000\neth1 00000000 FE00000A\n' });
    configure({ WAY: '' });
    expect(read('/etc/systemd/system/kubelet.service')).toContain('--node-ip=192.168.7.5');
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
    expect(read('/var/lib/kubelet/kubeconfig')).toBe(kubeconfig(server, certificate('ours')));
    // While the CA is replaced, ca.pem has both.
    furnish({ '/etc/kubernetes/tls/ca.pem': certificate('next') + certificate('ours') });
    expect(check().failed).toEqual([]);
  });

  test('with --in-cluster loopback the relay is a unit of its own', () => {
    furnish();
    const script = workerScript(spec({ inCluster: 'loopback' }), addresses);
    const { out } = run(shell, 'configure', {}, script);
    expect(out).toContain('systemctl enable k8s-relay kubelet');
    const unit = read('/etc/systemd/system/k8s-relay.service');
    expect(unit).toContain('TCP:k.example.com:31234');
    // Of both connections that it holds.
    expect(unit.match(/,keepalive,keepidle=\d+/g)).toHaveLength(2);
    expect(run(shell, 'other').code).toBe(2);
  });

  test('with --tunnel-host the relay leads by that name, with the certificate of the node', () => {
    furnish();
    const script = workerScript(spec({ inCluster: 'loopback', tunnelHost: 't.example.com' }), addresses);
    run(shell, 'configure', {}, script);
    const unit = read('/etc/systemd/system/k8s-relay.service');
    expect(unit).toContain('OPENSSL:t.example.com:443,snihost=t.example.com,commonname=t.example.com,verify=1,');
    expect(unit).not.toContain('31234 TCP:');
  });
});

test('a worker.sh is told from any other file of that name, and has no secret', () => {
  expect(isWorkerScript(workerScript(spec(), addresses))).toBe(true);
  expect(isWorkerScript('#!/bin/sh\n')).toBe(false);
  expect(workerScript(spec({ featureGates: { Some: 'true' } }), addresses)).toContain('Some: true');
});
