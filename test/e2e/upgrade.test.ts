import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brokenImage, makeOlderRelease, olderRelease as older, renamedImage } from '../images.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded, written } from './world.ts';
import { Writer } from './writer.ts';

const image = (component: string, version: string) => `registry.k8s.io/${component}:v${version}`;

const all = runsAllOf('e2e/upgrade');

const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;

/** Name, phase and restarts of each pod of `web`. */
const webPods = (home: Namespace) => {
  const restarts = '{.status.containerStatuses[?(@.name=="web")].restartCount}';
  const each = `{range .items[*]}{.metadata.name} {.status.phase} ${restarts}{"\\n"}{end}`;
  return home.ask('get', 'pods', '-l', 'app=web', '-o', `jsonpath=${each}`);
};

/** Images of kube-proxy on the workers. */
async function kubeProxies(home: Namespace): Promise<string[]> {
  const images = '{.items[*].spec.containers[?(@.name=="kube-proxy")].image}';
  const pods = ['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=kube-proxy'];
  return [...new Set((await home.ask(...pods, '-o', `jsonpath=${images}`)).split(' '))];
}

// The newest release under an older number, so nothing is built for it.
describe('from one minor to the next, with a worker', () => {
  let home: Namespace;
  let writer: Writer;
  beforeAll(async () => {
    home = await Namespace.open('minors');
    await makeOlderRelease(home.sandbox);
    succeeded(await sandboxCommand(['host', 'minors.e2e.test'], home));
    const version = ['--kubernetes-version', older, '--allow-untested-version'];
    succeeded(await home.k8sk8s('deploy', '-h', 'minors.e2e.test', ...version));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.apply(web(1));
    await home.rolledOut('web', 90);
    writer = new Writer(home);
  });
  afterAll(async () => {
    await writer?.stop();
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });
  const upgrade = (...args: string[]) =>
    home.k8sk8s('upgrade', '--allow-untested-version', '--plaintext', '--backup', 'before.backup', ...args);
  const serves = async (version: string) =>
    expect(await home.ask('version', '-o', 'json')).toContain(`"gitVersion": "v${version}"`);

  test('an upgrade begins with a backup, and asks how it is to be encrypted', async () => {
    const answer = await home.k8sk8s('upgrade', '--allow-untested-version', '--to', '1.37.9');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('backup-key', '--passphrase-file', '--no-backup'));
  });

  test('an upgrade to images that cannot be pulled is not begun with', async () => {
    const before = await written(home);
    const answer = await upgrade('--to', '1.37.99');
    expect(answer).toEqual(refused('image-trial', /registry.k8s.io\/kube-\S+:v1.37.99/));
    expect(await written(home)).toEqual(before);
    expect((await home.infra('get', 'pods', '-o', 'name')).stdout).not.toContain('k8sk8s-try');
  });

  test('its plan says which pods would be replaced and why, and changes nothing', async () => {
    const before = await written(home);
    const { stdout } = succeeded(await home.k8sk8s('upgrade', '--to', '1.37', '--plan'));
    for (const component of components)
      expect(stdout).toMatch(new RegExp(`^${component}: .*image \\(${component}:v1.37.2\\)`, 'm'));
    expect(stdout).not.toMatch(/^etcd: /m);
    expect(await written(home)).toEqual(before);
  });

  test('one to a version that does not work rolls back by itself, with no lost write', async () => {
    const version = '1.37.8';
    for (const component of ['kube-controller-manager', 'kube-scheduler'] as const)
      await renamedImage(home.sandbox, component, version);
    await brokenImage(home.sandbox, 'kube-apiserver', version, 'this one does not work');
    const [before, pods] = [writer.acknowledged.length, await webPods(home)];
    const failed = await upgrade('--to', version);
    expect(failed).toEqual(refused('upgrade-rolled-back', version, older, 'this one does not work'));
    await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(before + 10));
    expect(await writer.lost()).toEqual([]);
    await serves(older);
    expect(await webPods(home)).toBe(pods);
    succeeded(await home.k8sk8s('diff'));
    expect(await home.ask('-n', 'kube-system', 'get', 'configmaps', '-o', 'name')).not.toContain('k8sk8s-upgrade');
  });

  test('it goes up to the next minor; the writes and what runs on its worker go on', async () => {
    const pods = await webPods(home);
    const done = succeeded(await upgrade('--to', '1.37'));
    expect(done.stderr).toContain(`The plane runs v1.37.2, before ${older}`);
    await serves('1.37.2');
    const backup = succeeded(await home.local('backup', 'verify', 'before.backup')).stdout;
    expect(backup).toContain(`Kubernetes ${older}`);
    const before = writer.acknowledged.length;
    await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(before + 10));
    expect(await writer.lost()).toEqual([]);
    expect(await webPods(home)).toBe(pods);
    expect(await kubeProxies(home)).toEqual([image('kube-proxy', '1.37.2')]);
    const images = ['get', 'pods', '-o', 'jsonpath={.items[*].spec.containers[*].image}'];
    expect((await home.infra(...images)).stdout).not.toContain(`:v${older}`);
    succeeded(await home.k8sk8s('diff'));
    changedNothing(await home.k8sk8s('deploy'));
  });

  test('a step that the version skew policy forbids is refused', async () => {
    const back = await home.k8sk8s('upgrade', '--to', '1.36', '--plan');
    expect(back.code).toBe(1);
    expect(back.stdout).toContain('1.36.3');
    const far = await upgrade('--to', '1.39.0');
    expect(far).toEqual(refused('upgrade-refused', '1.39.0'));
    expect(far.code).toBe(2);
  });
});

describe.runIf(all)('from one patch to the next', () => {
  let home: Namespace;
  let writer: Writer;
  beforeAll(async () => {
    home = await Namespace.open('broken');
    succeeded(await sandboxCommand(['host', 'broken.e2e.test'], home));
    succeeded(await home.k8sk8s('deploy', '-h', 'broken.e2e.test'));
    writer = new Writer(home);
  });
  afterAll(async () => {
    await writer.stop();
    await home.k8sk8s('destroy', '--yes');
  });
  const upgrade = (...args: string[]) =>
    home.k8sk8s('upgrade', '--allow-untested-version', '--plaintext', '--backup', 'before.backup', ...args);

  test('a newer release that works is gone to, and the writes go on', async () => {
    for (const component of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const)
      await renamedImage(home.sandbox, component, '1.37.9');
    const done = succeeded(await upgrade('--to', '1.37.9'));
    expect(done.stderr).toContain('The plane runs v1.37.9, before 1.37.2');
    const backup = succeeded(await home.local('backup', 'verify', 'before.backup')).stdout;
    expect(backup).toContain('Kubernetes 1.37.2');
    const before = writer.acknowledged.length;
    await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(before + 10));
    expect(await writer.lost()).toEqual([]);
    succeeded(await home.k8sk8s('diff'));
    expect(
      (await home.infra('get', 'pods', '-o', 'jsonpath={.items[*].spec.containers[*].image}')).stdout,
    ).not.toContain(':v1.37.2');
  });
});

// Kubernetes 1.36.3 builds for ten minutes from nothing, so this runs with `npm run test:all`.
describe.runIf(all)('from 1.36.3 to 1.37.2 under load', () => {
  let home: Namespace;
  let writer: Writer;
  beforeAll(async () => {
    home = await Namespace.open('upgrade');
    succeeded(await sandboxCommand(['host', 'upgrade.e2e.test'], home));
    // 1.37 knows this gate as locked, so its API server does not start with it.
    const gate = ['--feature-gates', 'HPAConfigurableTolerance=false'];
    succeeded(await home.k8sk8s('deploy', '-h', 'upgrade.e2e.test', '--kubernetes-version', '1.36', ...gate));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
    await home.apply(web(2));
    await home.rolledOut('web', 90);
    writer = new Writer(home);
  });
  afterAll(async () => {
    await writer.stop();
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('the plan names every image, the way back, and changes nothing', async () => {
    const before = await written(home);
    const { stdout } = succeeded(await home.k8sk8s('upgrade', '--to', '1.37', '--plan'));
    for (const component of [...components, 'kube-proxy'])
      expect(stdout).toContain(`${image(component, '1.36.3')} -> ${image(component, '1.37.2')}`);
    for (const component of components)
      expect(stdout).toMatch(new RegExp(`^${component}: .*image \\(.*1.37.2\\)`, 'm'));
    expect(stdout).toContain('Rollback:');
    expect(stdout).toContain('Against:  nothing');
    expect(await written(home)).toEqual(before);
  });

  test('an option that the new version refuses takes it back to 1.36.3', async () => {
    const pods = await webPods(home);
    const failed = await home.k8sk8s('upgrade', '--to', '1.37', '--no-backup');
    expect(failed).toEqual(refused('upgrade-rolled-back', '1.36.3', 'HPAConfigurableTolerance'));
    expect(await home.ask('version', '-o', 'json')).toContain('"gitVersion": "v1.36.3"');
    expect(await webPods(home)).toBe(pods);
    expect(await writer.lost()).toEqual([]);
  });

  test('without it the plane goes up; writes and workloads go on', async () => {
    succeeded(await home.k8sk8s('deploy', '--reset', 'feature-gates'));
    const pods = await webPods(home);
    const done = succeeded(await home.k8sk8s('upgrade', '--to', '1.37', '--no-backup'));
    expect(done.stderr).toContain('The plane runs v1.37.2, before 1.36.3');
    expect(await webPods(home)).toBe(pods);
    const before = writer.acknowledged.length;
    await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(before));
    expect(await writer.lost()).toEqual([]);
    expect(await kubeProxies(home)).toEqual([image('kube-proxy', '1.37.2')]);
    succeeded(await home.k8sk8s('diff'));
    changedNothing(await home.k8sk8s('deploy'));
    console.log(`longest time between two writes: ${writer.longestGap} ms`);
  });
});

const web = (replicas: number) => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: docker.io/library/busybox:latest
          imagePullPolicy: Never
          command: [sleep, "100000"]
`;
