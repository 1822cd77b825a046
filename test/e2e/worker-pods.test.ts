import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeList, Node, Pod } from '../../src/kube/objects.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { retaggedImage } from '../images.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { visitWebService, webService } from '../web-service.ts';
import { leftOnNodes } from './left-on-nodes.ts';
import { asInfraAdmin, changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A hosted cluster whose workers are pods of the infra cluster: no machine joins. Runs with `npm run test:all`; the tests
// follow each other.

const host = 'worker-pods.e2e.test';
/** What a delegated administrator may list of what a plane has. */
const everything = 'statefulsets,deployments,services,pods,secrets,networkpolicies,persistentvolumeclaims';
let home: Namespace;
let wanted: string[];
/** UIDs of all worker pods that there were, by which kubelets call mounts and cgroups of theirs. */
const uids = new Set<string>();
const addresses = new Set<string>();

const level = async (name: 'baseline' | 'privileged', namespace = home.name) =>
  succeeded(
    await asInfraAdmin('label', '--overwrite', 'namespace', namespace, `pod-security.kubernetes.io/enforce=${name}`),
  );

async function infraPods(): Promise<Pod[]> {
  const { stdout } = succeeded(await home.infra('get', 'pods', '-o', 'json'));
  const pods = (JSON.parse(stdout) as KubeList<Pod>).items;
  const workers = pods.filter(({ metadata }) => metadata.name.startsWith('worker-pod-'));
  for (const { metadata, status } of workers) {
    uids.add(metadata.uid!);
    if (status?.podIP) addresses.add(status.podIP);
  }
  return workers;
}

const readyNodes = async () => {
  const { items } = JSON.parse(await home.ask('get', 'nodes', '-o', 'json')) as KubeList<Node>;
  const isReady = ({ status }: Node) =>
    status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
  return items.filter(isReady).map(({ metadata }) => metadata.name);
};

describe.runIf(runsAllOf('e2e/worker-pods'))('workers that are pods', () => {
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
    await home.apply(webService);
    await home.rolledOut('web', 60);
    const { items } = JSON.parse(await home.ask('get', 'pods', '-l', 'app=web', '-o', 'json')) as KubeList<Pod>;
    expect(items.map(({ spec }) => spec.nodeName).sort()).toEqual(['worker-pod-0', 'worker-pod-1']);
    for (const { metadata } of items)
      await eventually(30, async () => {
        const answers = await home.ask('exec', metadata.name, '--', 'node', '-e', visitWebService);
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
    expect(succeeded(await home.infra('get', everything, '-o', 'name')).stdout).toBe('');
    expect(uids.size).toBeGreaterThan(2);
    await eventually(30, async () => expect(await leftOnNodes(home, uids, addresses)).toEqual([]));
  });
});

const kubelets = () => home.ask('get', 'nodes', '-o', 'jsonpath={.items[*].status.nodeInfo.kubeletVersion}');

/** How many pods of the Deployment were available at the least, while something went on. */
async function fewestPodsDuring(work: () => Promise<void>): Promise<number> {
  let fewest = 2;
  let ended = false;
  const watching = (async () => {
    while (!ended) {
      const available = await home.hosted(['get', 'deployment', 'web', '-o', 'jsonpath={.status.availableReplicas}']);
      if (available.code === 0) fewest = Math.min(fewest, Number(available.stdout || 0));
      await sleep(500);
    }
  })();
  await work().finally(() => {
    ended = true;
  });
  await watching;
  return fewest;
}

describe.runIf(runsAllOf('e2e/worker-pods'))('workers that know the infra cluster alone', () => {
  const repository = 'docker.io/library/k8sk8s-worker';

  beforeAll(async () => {
    home = await Namespace.open('worker-pods-inside');
    for (const version of ['1.36', '1.37'])
      succeeded(await sandboxCommand(['image', 'worker', '--kubernetes-version', version], home));
    succeeded(await sandboxCommand(['host', host], home));
    await level('privileged');
    wanted = [
      ...['-h', host, '--etcd-storage', 'ephemeral', '--in-cluster', 'clusterip', '--worker-pods', '2'],
      ...['--worker-image', repository, '--worker-storage', '4Gi', '--worker-resources', 'cpu=500m,memory=1Gi'],
    ];
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  test('older workers with volumes join by the service, which needs no node port, and offer what they may take', async () => {
    succeeded(await home.k8sk8s('deploy', ...wanted, '--worker-version', '1.36'));
    const { items } = JSON.parse(await home.ask('get', 'nodes', '-o', 'json')) as KubeList<Node & Sized>;
    expect(items.map(({ status }) => status?.nodeInfo?.kubeletVersion)).toEqual(['v1.36.3', 'v1.36.3']);
    expect(items.map(({ status }) => status?.capacity.memory)).toEqual(['1Gi', '1Gi']);
    expect(items.map(({ status }) => status?.allocatable.cpu)).toEqual(['500m', '500m']);
    const services = succeeded(await home.infra('get', 'services', '-o', 'jsonpath={.items[*].spec.type}')).stdout;
    expect(new Set(services.trim().split(' '))).toEqual(new Set(['ClusterIP']));
  });

  test('pods reach the API by the first service address', async () => {
    await home.apply(webService);
    await home.apply(budget);
    await home.rolledOut('web', 60);
    const { items } = JSON.parse(await home.ask('get', 'pods', '-l', 'app=web', '-o', 'json')) as KubeList<Pod>;
    for (const { metadata } of items)
      expect(await home.ask('exec', metadata.name, '--', 'node', '-e', askApi)).toBe('v1.37.2');
  });

  test('a pod that is made anew is the same worker with the same images, and asks for no new identity', async () => {
    const clientRequests = async () =>
      (await home.ask('get', 'csr', '-o', 'jsonpath={.items[*].spec.signerName}')).match(
        /kube-apiserver-client-kubelet/g,
      );
    const before = await clientRequests();
    const [first] = await infraPods();
    succeeded(await home.infra('delete', 'pod', 'worker-pod-0', '--wait=true'));
    await eventually(60, async () => {
      const [pod] = await infraPods();
      expect(pod!.metadata.uid).not.toBe(first!.metadata.uid);
      const log = succeeded(await home.infra('logs', 'worker-pod-0')).stdout;
      expect(log).toContain('containerd and kubelet run');
    });
    await eventually(60, async () => expect(await readyNodes()).toEqual(['worker-pod-0', 'worker-pod-1']));
    await home.rolledOut('web', 60);
    expect(await clientRequests()).toEqual(before);
  });

  test('newer workers come one after the other, and a budget of the pods holds meanwhile', async () => {
    const fewest = await fewestPodsDuring(async () => {
      succeeded(await home.k8sk8s('deploy', ...wanted, '--worker-version', '1.37'));
    });
    expect(await kubelets()).toBe('v1.37.2 v1.37.2');
    expect(fewest).toBeGreaterThan(0);
  });

  test('a backup says that what is on the disks of the workers is not in it', async () => {
    const { stderr } = succeeded(await home.k8sk8s('backup', 'create', 'workers.backup', '--plaintext'));
    expect(stderr).toMatch(/2 worker pods are not in it/);
  });

  test('with fewer workers their volumes go', async () => {
    succeeded(await home.k8sk8s('workers', 'scale', '1'));
    const claims = succeeded(await home.infra('get', 'persistentvolumeclaims', '-o', 'name')).stdout.trim();
    expect(claims).toBe('persistentvolumeclaim/worker-worker-pod-0');
    succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(succeeded(await home.infra('get', everything, '-o', 'name')).stdout).toBe('');
  });
});

describe.runIf(runsAllOf('e2e/worker-pods'))('an upgrade of a plane with its workers', () => {
  const [older, newer] = ['1.36.3', '1.37.2'];
  const repository = (name: string) => `docker.io/library/k8sk8s-${name}`;
  // Nobody listens there: what workers need of the two clusters they reach without it.
  const proxy = ['--worker-https-proxy', 'http://192.0.2.1:3128', '--worker-proxy-exceptions', '.example.com'];

  beforeAll(async () => {
    home = await Namespace.open('worker-pods-upgrade');
    for (const version of [older, newer])
      succeeded(await sandboxCommand(['image', 'worker', '--kubernetes-version', version], home));
    // Of the newer version it has a program that runs and is no worker.
    await retaggedImage(home.sandbox, `${repository('worker')}:v${older}`, `${repository('half')}:v${older}`);
    await retaggedImage(home.sandbox, imageReferences.pause(), `${repository('half')}:v${newer}`);
    await level('privileged');
    const workers = ['--worker-pods', '2', '--worker-image', repository('half'), ...proxy];
    const inside = ['--in-cluster', 'clusterip', '--etcd-storage', 'ephemeral'];
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--kubernetes-version', older, ...inside, ...workers));
    for (const each of [webService, budget]) await home.apply(each);
    await home.rolledOut('web', 90);
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  const ready = async () => (await home.ask('get', 'nodes', '--no-headers')).match(/ Ready /g)?.length ?? 0;

  test('with a proxy, the networks of both clusters, the own one and HOST are reached without it', async () => {
    const log = succeeded(await home.infra('logs', 'worker-pod-0')).stdout;
    const [, exceptions] = /without a proxy: (.*)/.exec(log)!;
    const [pod] = await infraPods();
    for (const each of ['10.2.0.0/16', '10.3.0.0/16', '10.96.0.0/16', '.example.com', '.svc'])
      expect(exceptions).toContain(each);
    expect(exceptions).toContain(pod!.status!.podIP!.replace(/\.\d+$/, ''));
    expect(await ready()).toBe(2);
  });

  test('is taken back with its workers where a new one does not become Ready', async () => {
    const failed = await home.k8sk8s('upgrade', '--to', newer, '--no-backup', '--timeout', '60s');
    expect(failed).toEqual(refused('upgrade-rolled-back', newer, older));
    expect(await kubelets()).toBe(`v${older} v${older}`);
    expect(await ready()).toBe(2);
    await home.rolledOut('web', 90);
    expect(await home.ask('version', '-o', 'json')).toContain(`"gitVersion": "v${older}"`);
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('takes the workers along, one after the other, while a budget of the pods holds', async () => {
    await retaggedImage(home.sandbox, `${repository('worker')}:v${newer}`, `${repository('half')}:v${newer}`);
    const fewest = await fewestPodsDuring(async () => {
      succeeded(await home.k8sk8s('upgrade', '--to', newer, '--no-backup'));
    });
    expect(fewest).toBeGreaterThan(0);
    expect(await kubelets()).toBe(`v${newer} v${newer}`);
    expect(await ready()).toBe(2);
    await home.rolledOut('web', 90);
  });
});

interface Sized {
  status?: { capacity: Record<string, string>; allocatable: Record<string, string> };
}

const budget = `apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
`;

/** Asks kubernetes.default by the pod's own ServiceAccount. */
const askApi = `
const { readFileSync } = require('node:fs');
const files = '/var/run/secrets/kubernetes.io/serviceaccount/';
require('node:https')
  .get('https://kubernetes.default.svc/version', { ca: readFileSync(files + 'ca.crt'), headers: { authorization: 'Bearer ' + readFileSync(files + 'token') } },
    (answer) => answer.toArray().then((parts) => console.log(JSON.parse(Buffer.concat(parts)).gitVersion)));`;
