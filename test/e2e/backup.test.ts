import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { binaryPath } from '../../src/sandbox/artifacts/cache.ts';
import { versions } from '../../src/sandbox/versions.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Backups of a plane, and a plane from a backup. The tests of this file follow each other.

const host = 'backup.e2e.test';
const etcdutl = binaryPath(cacheRoot(), 'etcd', versions.etcd, 'etcdutl');
let home: Namespace;

const file = (name: string) => path.join(home.cwd, name);
const passphrase = ['--passphrase-file', 'passphrase'];
const verify = (name: string, ...keys: string[]) => home.local('backup', 'verify', name, ...keys);

beforeAll(async () => {
  home = await Namespace.open('backup');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  writeFileSync(file('passphrase'), 'correct horse\n');
  writeFileSync(file('other'), 'battery staple\n');
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

test('a backup is encrypted unless it is said otherwise, and for its owner alone', async () => {
  const answer = await home.k8sk8s('backup', 'create', 'plain');
  expect(answer.code).toBe(2);
  expect(answer).toEqual(refused('backup-key', '--passphrase-file', '--recipient', '--plaintext'));
  const made = succeeded(await home.k8sk8s('backup', 'create', 'sealed', ...passphrase));
  expect(made.stderr).toMatch(/Backed up \d+\.\d MiB of etcd at revision \d+, hash verified/);
  expect(statSync(file('sealed')).mode & 0o777).toBe(0o600);
  expect(readFileSync(file('sealed')).includes(host)).toBe(false);
  const checked = succeeded(await verify('sealed', ...passphrase));
  expect(checked.stdout).toContain(`The backup is whole.\nPlane:     ${host}, Kubernetes`);
});

test('without encryption it is an ordinary tar, whose snapshot is what etcd knows', async () => {
  const made = succeeded(await home.into('plain', 'backup', 'create', '-', '--plaintext'));
  expect(made.stderr).toContain('whoever reads it owns the hosted cluster');
  succeeded(await run('tar', ['-xf', file('plain')], { cwd: home.cwd }));
  succeeded(await run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: home.cwd }));
  const known = succeeded(await run(etcdutl, ['snapshot', 'status', file('snapshot.db'), '-w', 'json'])).stdout;
  const found = JSON.parse(succeeded(await verify('plain', '--output', 'json')).stdout);
  expect(found).toMatchObject({ ok: true, sealed: false, host });
  expect(found.snapshot.revision).toBe(JSON.parse(known).revision);
});

test('wrong keys, cut and damaged files are told from good ones', async () => {
  const wrong = await verify('sealed', '--passphrase-file', 'other');
  expect(wrong).toEqual(refused('backup-key'));
  expect(wrong.code).toBe(1);
  expect((await verify('sealed')).code).toBe(2);
  const content = readFileSync(file('sealed'));
  writeFileSync(file('cut'), content);
  truncateSync(file('cut'), content.length - 20_000);
  content[content.length >> 1]! ^= 1;
  writeFileSync(file('damaged'), content);
  for (const name of ['cut', 'damaged']) {
    const found = await verify(name, ...passphrase);
    expect(found.code).toBe(1);
    expect(found).toEqual(refused('backup-damaged'));
  }
});

test('what was begun and killed leaves no file', async () => {
  for (const after of [300, 600, 900]) await home.killed(after, 'backup', 'create', 'killed', ...passphrase);
  const full = await home.k8sk8s('backup', 'create', 'nowhere/file', '--plaintext');
  expect(full.code).toBe(1);
  expect(full).toEqual(refused('file-not-writable', 'nowhere'));
  const names = readdirSync(home.cwd);
  // A quick box may have been done before.
  if (names.includes('killed')) succeeded(await verify('killed', ...passphrase));
  const { stdout } = succeeded(await home.local('backup', 'list', ...passphrase));
  expect(stdout).toMatch(/sealed +\d+\.\d +yes +\d{4}-\S+ +backup\.e2e\.test +1\.\d+\.\d+/);
  expect(stdout).toMatch(/plain +\d+\.\d +no/);
  expect(stdout).not.toContain('.part');
});

describe('restored', () => {
  const nodes = () =>
    home.ask(
      'get',
      'nodes',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[-1:].status}{"\\n"}{end}',
    );
  const nodePort = async () =>
    succeeded(await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].nodePort}')).stdout;
  let port: string;
  let kubeconfig: string;

  beforeAll(async () => {
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await eventually(120, async () => expect(await nodes()).toMatch(/^\S+ True$/));
    await home.ask('create', 'configmap', 'kept');
    await home.ask('create', 'secret', 'generic', 'kept', '--from-literal=word=plain');
    succeeded(await home.k8sk8s('backup', 'create', 'last', ...passphrase));
    await home.ask('create', 'configmap', 'later');
    port = await nodePort();
    kubeconfig = readFileSync(file('tls/kubeconfig'), 'utf8');
  });
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
  });

  test('not beside the plane that it is of', async () => {
    const here = await home.k8sk8s('restore', 'last', ...passphrase);
    expect(here.code).toBe(2);
    expect(here).toEqual(refused('namespace-has-plane', `"${home.name}"`));
    const other = await Namespace.open('backup-other');
    const there = await other.k8sk8s('restore', file('last'), '--passphrase-file', file('passphrase'));
    expect(there.code).toBe(2);
    expect(there).toEqual(refused('old-plane-alive', `https://${host}:443`));
    expect((await other.infra('get', 'secrets', '-o', 'name')).stdout).toBe('');
  });

  test('its node port is wanted back, and told by its number when it is taken', async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
    succeeded(await home.infra('create', 'service', 'nodeport', 'taker', '--tcp=80', `--node-port=${port}`));
    const answer = await home.k8sk8s('restore', 'last', ...passphrase);
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('node-port', port));
    expect((await home.infra('get', 'secrets', '-o', 'name')).stdout).toBe('');
    succeeded(await home.infra('delete', 'service', 'taker'));
  });

  test('killed half-way it does not begin empty, and the next run goes on', async () => {
    const begun = () => eventually(120, async () => succeeded(await home.infra('get', 'pod', 'k8sk8s-restore')));
    await home.killed(begun(), 'restore', 'last', ...passphrase);
    const answer = await home.k8sk8s('deploy');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('restore-unfinished', `"${home.name}"`));
  });

  test('the worker comes back by itself, kubeconfigs go on, and what was written later is gone', async () => {
    const done = succeeded(await home.k8sk8s('restore', 'last', ...passphrase));
    expect(done.stderr).toContain(`https://${host}:443`);
    expect(readFileSync(file('tls/kubeconfig'), 'utf8')).toBe(kubeconfig);
    expect(await nodePort()).toBe(port);
    expect(await home.ask('get', 'configmaps', '-o', 'name')).toBe('configmap/kept\nconfigmap/kube-root-ca.crt');
    expect(await home.ask('get', 'secret', 'kept', '-o', 'jsonpath={.data.word}')).toBe('cGxhaW4=');
    const { stdout } = succeeded(await home.local('backup', 'verify', 'last', ...passphrase, '--output', 'json'));
    const version = await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.metadata.resourceVersion}');
    expect(Number(version)).toBeLessThanOrEqual(JSON.parse(stdout).snapshot.revision);
    await home.ask('create', 'configmap', 'new');
    const now = await home.ask('get', 'configmap', 'new', '-o', 'jsonpath={.metadata.resourceVersion}');
    expect(Number(now)).toBeGreaterThan(1_000_000_000);
    // A kubelet that kept what it had seen would never hear of this pod.
    await home.apply(pod);
    await eventually(180, async () => {
      expect(await nodes()).toMatch(/^\S+ True$/);
      expect(await home.ask('get', 'pod', 'after', '-o', 'jsonpath={.status.phase}')).toBe('Running');
    }).catch(async (error) => {
      throw new Error(`${await home.ask('get', 'nodes,pods,events', '-A', '-o', 'wide')}`, { cause: error });
    });
    succeeded(await home.k8sk8s('diff'));
    changedNothing(await home.k8sk8s('deploy'));
  });
});

// Two more restores and a plane of its own: a minute more, with `npm run test:all`.
describe.runIf(runsAllOf('e2e/backup'))('restored in other ways', () => {
  test('over a plane that is there: only when asked to, and with a backup of it first', async () => {
    await home.ask('create', 'configmap', 'soon-gone');
    const done = succeeded(
      await home.k8sk8s('restore', 'last', ...passphrase, '--replace', '--safety-backup', 'safety'),
    );
    expect(done.stderr).toContain('"safety"');
    expect(await home.ask('get', 'configmaps', '-o', 'name')).toBe('configmap/kept\nconfigmap/kube-root-ca.crt');
    succeeded(await verify('safety', ...passphrase));
    succeeded(await home.k8sk8s('destroy', '--yes'));
    succeeded(await home.k8sk8s('restore', 'safety', ...passphrase));
    expect(await home.ask('get', 'configmap', 'soon-gone', '-o', 'name')).toBe('configmap/soon-gone');
  });

  test('in another namespace, under another host, without a volume', async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
    const other = await Namespace.open('backup-other');
    succeeded(await sandboxCommand(['host', 'moved.e2e.test'], other));
    const keys = ['--passphrase-file', file('passphrase')];
    const moved = ['--as-new-host', 'moved.e2e.test', '--etcd-storage', 'ephemeral'];
    succeeded(await other.k8sk8s('restore', file('last'), ...keys, ...moved));
    expect(await other.ask('get', 'configmap', 'kept', '-o', 'name')).toBe('configmap/kept');
    expect(await other.ask('get', 'secret', 'kept', '-o', 'jsonpath={.data.word}')).toBe('cGxhaW4=');
    // The StatefulSet took the pod that was filled for its own, and sees nothing to replace.
    const pod = ['get', 'pod', 'etcd-0', '-o'];
    const owner = succeeded(await other.infra(...pod, 'jsonpath={.metadata.ownerReferences[?(@.controller)].kind}'));
    expect(owner.stdout).toBe('StatefulSet');
    const uid = succeeded(await other.infra(...pod, 'jsonpath={.metadata.uid}')).stdout;
    changedNothing(await other.k8sk8s('deploy'));
    succeeded(await other.k8sk8s('diff'));
    expect(succeeded(await other.infra(...pod, 'jsonpath={.metadata.uid}')).stdout).toBe(uid);
    const gone = succeeded(await other.k8sk8s('destroy', '--yes'));
    expect(gone.stderr).toContain('0 left');
  });
});

describe.runIf(runsAllOf('e2e/backup'))('made by the infra cluster', () => {
  const newest = async () =>
    succeeded(await home.k8sk8s('backup', 'list'))
      .stdout.trim()
      .split('\n')
      .slice(1)
      .join('\n');
  const runNow = async (job: string) => {
    succeeded(await home.infra('create', 'job', '--from=cronjob/k8sk8s-backup', job));
    const done = await home.infra('wait', '--for=condition=complete', `job/${job}`, '--timeout=120s');
    expect(done.code, (await home.infra('describe', 'jobs,pods', '-l', `job-name=${job}`)).stdout).toBe(0);
  };

  test('onto a volume that outlives the plane, the newest few of them, for one public key', async () => {
    succeeded(await home.k8sk8s('deploy', '-h', host, '--force'));
    await home.ask('create', 'configmap', 'scheduled');
    const identity = await generateIdentity();
    writeFileSync(file('identity'), `${identity}\n`);
    const schedule = ['backup', 'schedule', '--keep', '1', '--size', '1Gi'];
    expect((await home.k8sk8s(...schedule)).code).toBe(2);
    succeeded(await home.k8sk8s(...schedule, '--recipient', await identityToRecipient(identity)));
    const first = await newest();
    await runNow('second');
    const second = await newest();
    expect(second).toMatch(/^backup-\d{8}T\d{6}Z\.backup +\d+\.\d$/);
    expect(second).not.toBe(first);
    const gone = succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(gone.stderr).toContain('k8sk8s-backups');
    expect((await home.infra('get', 'cronjobs', '-o', 'name')).stdout).toBe('');
    succeeded(await home.k8sk8s('backup', 'fetch', 'fetched'));
    succeeded(await home.k8sk8s('restore', 'fetched', '--identity-file', 'identity'));
    expect(await home.ask('get', 'configmap', 'scheduled', '-o', 'name')).toBe('configmap/scheduled');
    succeeded(await home.infra('delete', 'pvc', 'k8sk8s-backups'));
  });
});

const pod = `apiVersion: v1
kind: Pod
metadata: {name: after}
spec:
  containers:
    - name: after
      image: docker.io/library/busybox:latest
      imagePullPolicy: Never
      command: [sleep, "100000"]
`;
