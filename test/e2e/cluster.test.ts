import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inside } from '../../src/sandbox/machine.ts';
import { type MachineState, machineFolder, requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import {
  apiFromPod,
  customResourcesAndPolicies,
  execLogsAndPortForward,
  kubeletKeepsToItsNode,
  nobodyIsAnonymous,
  serviceAnswers,
  tokensAreVerifiable,
  webhookOnHostNetwork,
} from './cluster-use.ts';
import { resolveAsUbuntu, servingNames } from './machines.ts';
import { changedNothing, eventually, Namespace, type Outcome, sandboxCommand, succeeded, written } from './world.ts';

// A plane with two workers, from deploy to destroy. The tests of this file follow each other; what a tenant does is in cluster-use.ts.

const host = 'cluster.e2e.test';
let home: Namespace;
let first: Outcome;

beforeAll(async () => {
  home = await Namespace.open('cluster');
  succeeded(await sandboxCommand(['host', host], home));
  first = await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral');
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

describe('deploy', () => {
  test('tells the story of the 2017 script', () => {
    succeeded(first);
    const words = [
      'CHECK: Access to cluster confirmed',
      `CHECK: API server host ${host} resolves`,
      'secret "kube-apiserver" created',
      'service "etcd0" created',
      'ingress "k8s-on-k8s" created',
      'The hosted API answers',
      'Server Version: v1.37.2',
      'Deploying child cluster assets',
      'AVAILABLE !',
      'daemonset "kube-proxy" created',
      'deployment "kube-dns" created',
    ];
    let at = -1;
    for (const word of words) {
      expect(first.stderr).toContain(word);
      if (!word.includes('created')) {
        expect(first.stderr.indexOf(word), `${word} comes in its order`).toBeGreaterThan(at);
        at = first.stderr.indexOf(word);
      }
    }
    expect(first.stdout).toBe('');
  });

  test('writes four files that only their owner may read', () => {
    for (const file of ['kubeconfig', 'kubeconfig-kubelets', 'ca.pem', 'worker.sh'])
      expect(statSync(path.join(home.cwd, 'tls', file)).mode & 0o777, file).toBe(0o600);
  });

  test('a second run changes nothing and says so', async () => {
    const before = await written(home);
    const authority = readFileSync(path.join(home.cwd, 'tls/ca.pem'), 'utf8');
    const second = succeeded(await home.k8sk8s('deploy', '-h', host));
    expect(second.stderr).toContain('Nothing to change');
    expect(await written(home)).toEqual(before);
    expect(readFileSync(path.join(home.cwd, 'tls/ca.pem'), 'utf8')).toBe(authority);
  });

  test('says what another run would change without changing it', async () => {
    const before = await written(home);
    const { stdout } = succeeded(await home.k8sk8s('deploy', '--scheduler-arg', 'v=1', '--dry-run'));
    expect(stdout).toContain('would change deployment "kube-scheduler"');
    expect(stdout).not.toContain('would change deployment "kube-apiserver"');
    expect(await written(home)).toEqual(before);
  });

  test("refuses a change that would cost an ephemeral etcd's data", async () => {
    const answer = await home.k8sk8s('deploy', '--etcd-arg', 'snapshot-count=5000');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('data-loss', '--yes'));
  });

  test('an option stays as it was until it is given again or reset', async () => {
    const args = async () =>
      (
        await home.infra(
          'get',
          'deployment',
          'kube-scheduler',
          '-o',
          'jsonpath={.spec.template.spec.containers[?(@.name=="kube-scheduler")].args}',
        )
      ).stdout;
    succeeded(await home.k8sk8s('deploy', '--scheduler-arg', 'v=1'));
    expect(await args()).toContain('--v=1');
    succeeded(await home.k8sk8s('deploy'));
    expect(await args()).toContain('--v=1');
    succeeded(await home.k8sk8s('deploy', '--reset', 'scheduler-arg'));
    expect(await args()).not.toContain('--v=1');
  });
});

describe('workers', () => {
  let [resolved, addressed] = [] as MachineState[];
  const etc = (machine: MachineState, file: string) =>
    path.join(machineFolder(requireState(home.sandbox), machine), 'root/etc/kubernetes', file);
  let second: string;

  /** One machine resolves names as Ubuntu does, the other has two addresses, the second of which is to be the worker's. */
  beforeAll(async () => {
    const state = requireState(home.sandbox);
    [resolved, addressed] = state.machines.filter(({ role, claimedBy }) => role === 'worker' && !claimedBy);
    await resolveAsUbuntu(state, resolved!);
    second = `${state.network}.${Number(addressed!.address.split('.')[3]) + 100}`;
    await inside(addressed!, ['ip', 'address', 'replace', `${second}/24`, 'dev', 'eth0']);
    mkdirSync(etc(addressed!, ''), { recursive: true });
    writeFileSync(etc(addressed!, 'worker.env'), `NODE_IP=${second}\n`);
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
  });

  test('W1: are configured by the files that worker-config prints', async () => {
    const printed = succeeded(await home.k8sk8s('worker-config', '--script')).stdout;
    const { files } = JSON.parse(succeeded(await home.k8sk8s('worker-config', '--output', 'json')).stdout);
    expect(files).toEqual({ '/etc/kubernetes/tls/worker.sh': printed });
    expect(readFileSync(path.join(home.cwd, 'tls/worker.sh'), 'utf8')).toBe(printed);
    for (const machine of [resolved!, addressed!]) {
      expect(readFileSync(etc(machine, 'tls/worker.sh'), 'utf8')).toBe(printed);
      const configuration = load(await inside(machine, ['cat', '/var/lib/kubelet/config.yaml']));
      // The sandbox's containerd makes cgroups itself.
      expect(configuration).toMatchObject({
        cgroupDriver: 'cgroupfs',
        resolvConf: machine === resolved ? '/run/systemd/resolve/resolv.conf' : '/etc/resolv.conf',
        ...(!existsSync('/sys/fs/cgroup/cgroup.controllers') && { failCgroupV1: false }),
      });
    }
  });

  test('have the address that was chosen, also for the pod network and in their certificates', async () => {
    const annotation = 'flannel\\.alpha\\.coreos\\.com/public-ip';
    const asked = `{.status.addresses[?(@.type=="InternalIP")].address} {.metadata.annotations.${annotation}}`;
    await eventually(60, async () => {
      expect(await home.ask('get', 'node', addressed!.name, '-o', `jsonpath=${asked}`)).toBe(`${second} ${second}`);
      expect(await servingNames(addressed!)).toContain(`IP Address:${second}`);
    });
  });

  test('two nodes become Ready and the child assets run without a restart', async () => {
    await eventually(120, async () => {
      const nodes = (await home.ask('get', 'nodes', '--no-headers')).split('\n');
      expect(nodes.filter((line) => / Ready /.test(line))).toHaveLength(2);
      const pods = (
        await home.ask(
          '-n',
          'kube-system',
          'get',
          'pods',
          '-o',
          'jsonpath={range .items[*]}{.metadata.name} {.status.phase} {range .status.containerStatuses[*]}{.ready}/{.restartCount} {end}{"\\n"}{end}',
        )
      ).split('\n');
      expect(pods).toHaveLength(6);
      for (const pod of pods) expect(pod).toMatch(/ Running (true\/0 ?)+$/);
    });
  });

  test('each kubelet has its own identity and a serving certificate of the kubelets’ CA', async () => {
    const line = 'jsonpath={range .items[*]}{.spec.signerName} {.status.conditions[*].type}{"\\n"}{end}';
    await eventually(60, async () => {
      const requests = (await home.ask('get', 'csr', '-o', line)).split('\n');
      for (const signer of ['kubelet-serving', 'kube-apiserver-client-kubelet'])
        expect(requests.filter((each) => each === `kubernetes.io/${signer} Approved`).length).toBeGreaterThanOrEqual(2);
    });
  });

  test('a Service answers from two pods on two workers, by name and by address, from a pod on each', () =>
    serviceAnswers(home));
  test('tokens can be verified by what the discovery document of their issuer leads to, from a pod too', () =>
    tokensAreVerifiable(home, host));
  test('exec, logs and port-forward work with verified kubelet certificates', () => execLogsAndPortForward(home));
  test('a pod reaches https://kubernetes.default.svc with its ServiceAccount, the CA verified', () => apiFromPod(home));
  test('nobody is anonymous but for health', () => nobodyIsAnonymous(home, host));
  test("a kubelet may not read another node's secrets", () => kubeletKeepsToItsNode(home));
  test('custom resources and admission policies work', () => customResourcesAndPolicies(home));
  test('an admission webhook on hostNetwork refuses an object', () => webhookOnHostNetwork(home));
});

describe('a plane whose pods die', () => {
  test('controller-manager and scheduler come back and nothing is lost', async () => {
    for (const component of ['kube-controller-manager', 'kube-scheduler'])
      succeeded(await home.infra('delete', 'pod', '-l', `app.kubernetes.io/name=${component}`, '--wait=true'));
    await eventually(60, async () => expect((await home.k8sk8s('status')).code).toBe(0));
    expect(await home.ask('get', 'deployment', 'web', '-o', 'name')).toBe('deployment.apps/web');
  });

  test('the API server moves to another infra node, and in-cluster clients find it there', async () => {
    await home.withApiServerElsewhere(async (node) => {
      const started = Date.now();
      await eventually(60, async () => {
        const now = (
          await home.infra(
            'get',
            'pods',
            '-l',
            'app.kubernetes.io/name=kube-apiserver',
            '-o',
            'jsonpath={range .items[*]}{.spec.nodeName} {.status.containerStatuses[?(@.name=="kube-apiserver")].ready} {.metadata.deletionTimestamp}{"\\n"}{end}',
          )
        ).stdout.trim();
        expect(now).toMatch(/^\S+ true$/);
        expect(now).not.toContain(`${node} `);
      });
      const ready = Date.now();
      await eventually(60, async () => {
        const [pod] = (await home.ask('get', 'pods', '-l', 'app=web', '-o', 'name')).split('\n');
        const script =
          "require('https').get({host:'10.3.0.1',path:'/readyz',rejectUnauthorized:false,timeout:2000},r=>{console.log(r.statusCode);r.resume()}).on('timeout',function(){this.destroy()})";
        expect(await home.ask('exec', pod!, '--', 'node', '-e', script)).toBe('200');
      });
      console.log(
        `the API server was ready elsewhere ${ready - started} ms after its old pod was gone, in-cluster clients reached it ${Date.now() - ready} ms later`,
      );
    });
  });

  test("an ephemeral etcd's death loses the objects, status says so, and deploy brings the cluster back", async () => {
    succeeded(await home.infra('delete', 'pod', 'etcd-0', '--wait=true'));
    await eventually(60, async () => {
      const status = await home.k8sk8s('status');
      expect(status.code).toBe(1);
      expect(status.stdout + status.stderr).toMatch(/lost its data/);
    });
    succeeded(await home.k8sk8s('deploy'));
    expect(await home.ask('get', 'daemonset', '-n', 'kube-system', 'kube-proxy', '-o', 'name')).toBe(
      'daemonset.apps/kube-proxy',
    );
  });
});

describe('destroy', () => {
  test('L10: leaves what is not its own, and nothing of its own, the files in tls/ included', async () => {
    succeeded(await sandboxCommand(['join', '--leave', '-n', home.name], home));
    const notes = ['etcd-notes', 'kube-apiserver-notes'];
    // A kept sandbox has those of an earlier run.
    succeeded(await home.infra('delete', 'configmaps', '--ignore-not-found', ...notes));
    for (const name of notes) succeeded(await home.infra('create', 'configmap', name));
    const gone = succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(gone.stderr).toContain('0 left');
    expect(existsSync(path.join(home.cwd, 'tls')), 'files of a cluster that is gone').toBe(false);
    expect(gone.stderr).toContain('stays: configmap "etcd-notes"');
    expect(
      (await home.infra('get', 'all,secrets,ingresses,leases', '-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'name'))
        .stdout,
    ).toBe('');
    expect((await home.infra('get', 'configmaps', '-o', 'name')).stdout).toContain('configmap/etcd-notes');
    changedNothing(await home.k8sk8s('destroy', '--yes'));
  });
});
