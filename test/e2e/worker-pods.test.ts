import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import type { KubeList, Node, Pod } from '../../src/kube/objects.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { refused } from '../refused.ts';
import { asInfraAdmin, changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A hosted cluster whose workers are pods of the infra cluster: no machine joins. Runs with `npm run test:all`; the tests
// follow each other.

const host = 'worker-pods.e2e.test';
let home: Namespace;
let wanted: string[];
/** UIDs of all worker pods that there were, by which kubelets call mounts and cgroups of theirs. */
const uids = new Set<string>();

const level = async (name: 'baseline' | 'privileged') =>
  succeeded(
    await asInfraAdmin('label', '--overwrite', 'namespace', home.name, `pod-security.kubernetes.io/enforce=${name}`),
  );

async function infraPods(): Promise<Pod[]> {
  const { stdout } = succeeded(await home.infra('get', 'pods', '-o', 'json'));
  const pods = (JSON.parse(stdout) as KubeList<Pod>).items;
  const workers = pods.filter(({ metadata }) => metadata.name.startsWith('worker-pod-'));
  for (const { metadata } of workers) uids.add(metadata.uid!);
  return workers;
}

const readyNodes = async () => {
  const { items } = JSON.parse(await home.ask('get', 'nodes', '-o', 'json')) as KubeList<Node>;
  const isReady = ({ status }: Node) =>
    status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
  return items.filter(isReady).map(({ metadata }) => metadata.name);
};

describe.runIf(process.env.K8SK8S_TEST === 'all')('workers that are pods', () => {
  beforeAll(async () => {
    home = await Namespace.open('worker-pods');
    succeeded(await sandboxCommand(['image', 'worker'], home));
    succeeded(await sandboxCommand(['host', host], home));
    const image = imageReferences.worker(requireState(home.sandbox).kubernetesVersion);
    wanted = ['-h', host, '--etcd-storage', 'ephemeral', '--worker-pods', '2', '--worker-image', image];
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  test('a namespace that admits no privileged pod is refused with the label, before anything is made', async () => {
    await level('baseline');
    const label = `namespace ${home.name} pod-security.kubernetes.io/enforce=privileged`;
    expect(await home.k8sk8s('deploy', ...wanted)).toEqual(refused('worker-pods', label));
    expect(succeeded(await home.infra('get', 'statefulsets', '-o', 'name')).stdout).toBe('');
  });

  test('one command makes a cluster with two Ready workers, on different infra nodes, and says what that allows', async () => {
    await level('privileged');
    const { stderr } = succeeded(await home.k8sk8s('deploy', ...wanted));
    expect(stderr).toContain('is root on the infra nodes');
    const pods = await infraPods();
    expect(pods.map(({ metadata }) => metadata.name)).toEqual(['worker-pod-0', 'worker-pod-1']);
    expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
    expect(await readyNodes()).toEqual(['worker-pod-0', 'worker-pod-1']);
    expect(succeeded(await home.k8sk8s('status')).stdout).toMatch(/^worker-pod +2\/2/m);
    changedNothing(await home.k8sk8s('deploy', ...wanted));
  });

  test('a Service answers from a pod on each worker, with pods on both, by its name', async () => {
    await home.apply(web);
    await home.rolledOut('web', 60);
    const { items } = JSON.parse(await home.ask('get', 'pods', '-l', 'app=web', '-o', 'json')) as KubeList<Pod>;
    expect(items.map(({ spec }) => spec.nodeName).sort()).toEqual(['worker-pod-0', 'worker-pod-1']);
    for (const { metadata } of items)
      await eventually(30, async () => {
        const answers = await home.ask('exec', metadata.name, '--', 'node', '-e', visit);
        expect(answers.split('\n').sort()).toEqual(items.map((each) => each.metadata.name).sort());
      });
  });

  test('with fewer workers, the pods move over, the Node goes and what is left answers', async () => {
    await infraPods();
    succeeded(await home.k8sk8s('workers', 'scale', '1'));
    expect((await infraPods()).map(({ metadata }) => metadata.name)).toEqual(['worker-pod-0']);
    expect(await home.ask('get', 'nodes', '-o', 'name')).toBe('node/worker-pod-0');
    await home.rolledOut('web', 60);
    const { items } = JSON.parse(await home.ask('get', 'pods', '-l', 'app=web', '-o', 'json')) as KubeList<Pod>;
    expect(new Set(items.map(({ spec }) => spec.nodeName))).toEqual(new Set(['worker-pod-0']));
    changedNothing(await home.k8sk8s('workers', 'scale', '1'));
  });

  test('a plane that sleeps has no worker pods, and wakes with them', async () => {
    succeeded(await home.k8sk8s('sleep'));
    expect(await infraPods()).toEqual([]);
    succeeded(await home.k8sk8s('wake'));
    await eventually(60, async () => {
      await infraPods();
      expect(await readyNodes()).toEqual(['worker-pod-0']);
      await home.rolledOut('web', 1);
    });
  });

  test('destroy leaves nothing of the workers, neither in the namespace nor on the infra nodes', async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(succeeded(await home.infra('get', 'all,secrets,networkpolicies', '-o', 'name')).stdout).toBe('');
    expect(uids.size).toBeGreaterThan(2);
    const machines = requireState(home.sandbox).machines.filter(({ role }) => role === 'infra');
    // Of a pod's UID a cgroup driver may write the dashes as underscores.
    const left = `cat /proc/self/mountinfo; find /sys/fs/cgroup -type d -name '*pod*'; ls /var/lib/kubelet/pods`;
    for (const machine of machines)
      await eventually(30, async () => {
        const found = await inside(machine, ['sh', '-c', left]);
        expect([...uids].filter((uid) => found.replaceAll('_', '-').includes(uid))).toEqual([]);
      });
  });
});

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: ${otherImages.node}
          command: [node, -e, "require('node:http').createServer((_, answer) => answer.end(process.env.HOSTNAME)).listen(80)"]
          readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

/** Asks the Service 20 times by connections of their own, and prints who has answered, each once. */
const visit = `
const { get } = require('node:http');
const ask = () => new Promise((done, fail) => {
  const request = get({ host: 'web.default.svc', agent: false, timeout: 5000 }, (answer) => answer.setEncoding('utf8').on('data', done));
  request.on('error', fail).on('timeout', () => request.destroy(new Error('no answer in 5 s')));
});
(async () => {
  const names = new Set();
  for (let i = 0; i < 20; i++) names.add(await ask());
  console.log([...names].join('\\n'));
})();`;
