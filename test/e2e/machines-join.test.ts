import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dump } from 'js-yaml';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { boxSettings } from '../../src/sandbox/box-settings.ts';
import { withSandboxLock } from '../../src/sandbox/lock.ts';
import { ensureDaemon, ensureOwnFolder, inside } from '../../src/sandbox/machine.ts';
import { type MachineState, requireState, type SandboxState, saveState } from '../../src/sandbox/state.ts';
import { workerArchives } from '../../src/sandbox/up.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { ignitionComplaints } from '../ignition-validate.ts';
import { runsAllOf } from '../test-all.ts';
import { importImages, makeBare, onBare, type Sources, serveSources } from './bare-machine.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A machine joins by each format of worker-config and by the real kubeadm, becomes Ready, and leaves. Runs with `npm run test:all`.

const host = 'machines.e2e.test';
const [current, older] = ['1.37.2', '1.36.3'] as const;

describe.runIf(runsAllOf('e2e/machines-join'))('a machine', () => {
  let home: Namespace;
  let state: SandboxState;
  let machine: MachineState;

  beforeAll(async () => {
    home = await Namespace.open('machines');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral', '--kubeadm-token-discovery'));
    ({ state, machine } = await claim(home));
  });
  afterEach(async () => {
    await home.hosted(['delete', 'node', machine.name, '--ignore-not-found']);
    // The machine is made anew, and claimed again for the next test.
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    ({ state, machine } = await claim(home));
  });
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  /** What is told of a Node that is not Ready: its own words, the pods, and the end of the network's log. */
  const whyNotReady = async () => {
    const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}';
    const inSystem = (...args: string[]) => home.hosted(['-n', 'kube-system', ...args]);
    const told = [
      await home.hosted(['get', 'node', machine.name, '-o', path]),
      await inSystem('get', 'pods', '-o', 'wide'),
      await inSystem('logs', 'daemonset/kube-flannel-ds', '--tail=8'),
    ];
    return told.map(({ stdout, stderr }) => `${stdout}${stderr}`).join('\n');
  };
  const ready = (version: string) =>
    eventually(120, async () => {
      const line = await home.ask('get', 'node', machine.name, '--no-headers');
      const wanted = new RegExp(` Ready .* v${version.replaceAll('.', '\\.')}`);
      expect(line, wanted.test(line) ? '' : await whyNotReady()).toMatch(wanted);
    });

  describe('with kubeadm', () => {
    test('joins by the file, with what worker.sh has found out, and takes upgrade node', async () => {
      const programs = await kubeadm(current);
      await upload(home, state, machine);
      await inside(machine, [...programs.env, 'sh', '-c', 'sh /etc/kubernetes/tls/worker.sh check kubeadm']);
      await inside(machine, [...programs.env, 'sh', '-c', 'sh /etc/kubernetes/tls/worker.sh kubeadm']);
      await startKubelet(state, machine, programs.folder);
      await inside(machine, [
        ...programs.env,
        'kubeadm',
        'join',
        '--config=/etc/kubernetes/kubeadm-join.yaml',
        ...ignored,
      ]);
      await ready(current);
      const upgrade = ['upgrade', 'node', '--patches=/etc/kubernetes/patches', ...ignored];
      expect(await inside(machine, [...programs.env, 'kubeadm', ...upgrade])).toContain('successfully upgraded');
    });

    test('of an older minor joins by a token alone, and nothing else is open to anybody', async () => {
      const programs = await kubeadm(older);
      await upload(home, state, machine);
      await inside(machine, [...programs.env, 'sh', '-c', 'sh /etc/kubernetes/tls/worker.sh kubeadm']);
      await startKubelet(state, machine, programs.folder);
      const line = succeeded(await home.k8sk8s('worker-config', '--format', 'kubeadm', '--discovery', 'token')).stdout;
      const join = line.trim().split(' ').slice(1);
      await inside(machine, [...programs.env, 'kubeadm', ...join, '--patches=/etc/kubernetes/patches', ...ignored]);
      await ready(older);
      const status = (where: string) =>
        inside(machine, ['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', `https://${host}${where}`]);
      const open = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
      expect(await status(open)).toBe('200');
      for (const closed of [`${open}/`, '/api/v1/namespaces/kube-public/configmaps', '/version', '/api'])
        expect(await status(closed), closed).toBe('401');
    });
  });

  describe('of bare Debian', () => {
    let sources: Sources;
    beforeAll(async () => {
      const programs = await ensureBinaries(['kubelet', 'kubeadm'], { kubernetesVersion: current }, terminalReporter());
      sources = await serveSources(`${state.network}.1`, current, programs);
    });
    afterAll(() => sources?.close());

    const config = async (format: string) =>
      succeeded(await home.k8sk8s('worker-config', '--format', format, '--mirror', sources.url)).stdout;
    const joined = async () => {
      await importImages(state, machine, await workerArchives(state, terminalReporter()));
      await ready(current);
    };
    const on = async (command: string, input = '') => {
      const { code, output } = await onBare(state, machine, command, input);
      expect(code, output.slice(-4000)).toBe(0);
      return output;
    };

    const leaves = async () => {
      await on('sh /etc/kubernetes/tls/worker.sh leave');
      await on('test ! -e /var/lib/kubelet/config.yaml && test ! -e /etc/systemd/system/kubelet.service');
    };

    test('joins by the script, twice without a change, and leaves nothing when it leaves', async () => {
      await makeBare(state, machine, sources);
      const before = await on(listing);
      const script = await config('script');
      await on('cat >/root/machine.sh && sh /root/machine.sh', script);
      await joined();
      const again = await on('sh /root/machine.sh');
      expect(again).not.toMatch(/ written$/m);
      const listed = async () => succeeded(await home.k8sk8s('workers', 'list')).stdout;
      succeeded(await home.k8sk8s('workers', 'cordon', machine.name));
      expect(await listed()).toMatch(new RegExp(`^${machine.name} +Ready, cordoned`, 'm'));
      succeeded(await home.k8sk8s('workers', 'cordon', machine.name, '--undo'));
      expect(await listed()).not.toContain('cordoned');
      succeeded(await home.k8sk8s('workers', 'remove', machine.name));
      await leaves();
      expect(await home.ask('get', 'nodes', '-o', 'name')).toBe('');
      expect(left(before, await on(listing))).toEqual([]);
    });

    test('joins by what cloud-init makes of the user-data', async () => {
      await makeBare(state, machine, sources);
      const seed = `mkdir -p /var/lib/cloud/seed/nocloud && cd /var/lib/cloud/seed/nocloud && cat >user-data
printf 'instance-id: one\\nlocal-hostname: ${machine.name}\\n' >meta-data
printf 'datasource_list: [NoCloud]\\n' >/etc/cloud/cloud.cfg.d/99-seed.cfg`;
      await on('apt-get update -q && apt-get install -q -y --no-install-recommends cloud-init');
      await on(seed, await config('cloud-init'));
      await on('cloud-init schema -c /var/lib/cloud/seed/nocloud/user-data');
      await on(
        'cloud-init init --local; cloud-init init; cloud-init modules --mode=config; cloud-init modules --mode=final; cat /var/log/cloud-init-output.log',
      );
      await joined();
      await leaves();
    });

    test('joins by the files and units of the Ignition configuration', async () => {
      await makeBare(state, machine, sources);
      const document = await config('ignition');
      expect(await ignitionComplaints(document)).toEqual([]);
      expect(await ignitionComplaints(document.replace('"overwrite"', '"overwrit"'))).toHaveLength(1);
      const { storage, systemd } = JSON.parse(document) as {
        storage: { files: { path: string; mode: number; contents: { source: string } }[] };
        systemd: { units: { name: string; contents: string }[] };
      };
      for (const { path: file, mode, contents } of storage.files) {
        const place = `mkdir -p ${path.dirname(file)} && base64 -d >${file} && chmod ${mode.toString(8)} ${file}`;
        await on(place, contents.source.replace('data:;base64,', ''));
      }
      const [unit] = systemd.units;
      await on(`cat >/etc/systemd/system/${unit!.name}`, unit!.contents);
      await on(unit!.contents.match(/^ExecStart=(.*)$/m)![1]!);
      await joined();
      await leaves();
    });
  });
});

/** Files outside of what packages, containers and logs bring. */
const listing =
  'find /etc /var/lib /opt /root -xdev -type f -o -type l | grep -v "/var/lib/dpkg\\|/var/lib/apt\\|/var/lib/containerd\\|/etc/alternatives\\|ld.so.cache" | sort; ip -o link | cut -d: -f2; mount | grep -c kubelet || true';

/** What the machine has more than before, apart from packages and the script. */
function left(before: string, after: string): string[] {
  const known = new Set(before.split('\n'));
  const packaged =
    /\/(opt\/cni\/bin|etc\/containerd\/config\.toml\.dpkg-dist|etc\/(init\.d|default|apparmor|apt|rc|systemd\/system\/(multi-user|kubelet))|root\/machine\.sh|etc\/kubernetes\/tls\/worker\.sh|etc\/kubernetes\/worker\.env|var\/lib\/(systemd|ucf|python|pam))/;
  return after.split('\n').filter((line) => line !== '' && !known.has(line) && !packaged.test(line));
}

const ignored = ['--ignore-preflight-errors=SystemVerification'];

/** A machine of the sandbox that is not in use. */
async function claim(home: Namespace): Promise<{ state: SandboxState; machine: MachineState }> {
  return withSandboxLock(
    home.sandbox,
    async () => {
      const state = requireState(home.sandbox);
      const machine = state.machines.findLast(({ role, claimedBy }) => role === 'worker' && !claimedBy)!;
      machine.claimedBy = home.name;
      saveState(state);
      return { state, machine };
    },
    90,
  );
}

async function kubeadm(kubernetesVersion: string): Promise<{ folder: string; env: string[] }> {
  const programs = await ensureBinaries(['kubeadm', 'kubelet'], { kubernetesVersion }, terminalReporter());
  const folder = path.dirname(programs.kubeadm);
  return { folder, env: ['env', '-i', `PATH=${folder}:${process.env.PATH}`, 'HOME=/root'] };
}

async function upload(home: Namespace, state: SandboxState, machine: MachineState): Promise<void> {
  const etc = await ensureOwnFolder(state, machine, '/etc/kubernetes');
  succeeded(await home.k8sk8s('token', 'create', '--write'));
  for (const folder of ['tls', 'kubelet.conf.d']) mkdirSync(path.join(etc, folder), { recursive: true });
  for (const file of ['kubeconfig-kubelets', 'ca.pem', 'worker.sh'])
    await inside(machine, ['cp', path.join(home.cwd, 'tls', file), `/etc/kubernetes/tls/${file}`]);
  const settings = boxSettings(state, machine);
  writeFileSync(path.join(etc, 'kubelet.conf.d/sandbox.conf'), dump(settings));
}

/** What systemd does by kubelet.service and 10-kubeadm.conf: it starts the kubelet again until its files are there. */
async function startKubelet(state: SandboxState, machine: MachineState, folder: string): Promise<void> {
  const loop = `while [ ! -e /var/lib/kubelet/kubeadm-flags.env ]; do sleep 0.5; done
. /var/lib/kubelet/kubeadm-flags.env
exec kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf \\
  --config=/var/lib/kubelet/config.yaml --config-dir=/etc/kubernetes/kubelet.conf.d $KUBELET_KUBEADM_ARGS`;
  ensureDaemon(state, machine, 'kubelet', ['sh', '-c', loop], { PATH: `${folder}:${process.env.PATH}` });
}
