import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EtcdGateway } from '../../src/etcd/gateway.ts';
import type { RotationStatus } from '../../src/operations/keys/rotate-ca/rotation-status.ts';
import { type Credential, issueLeaf } from '../../src/pki/issue.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { visitWorker } from './worker-visit.ts';
import { changedNothing, eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Authorities are replaced: what was made by a key that somebody stole before is refused afterwards, and nothing else is.
// The tests of this file follow each other.

const host = 'rotate-ca.e2e.test';
const all = runsAllOf('e2e/rotate-ca');
const slow = { timeout: 900_000 };
/** Authorities that no worker and no person knows. */
const quiet = ['etcd-ca', 'etcd-peer-ca', 'front-proxy-ca'];
const known = ['ca', 'kubelet-serving-ca'];
let home: Namespace;

beforeAll(async () => {
  home = await Namespace.open('rotate-ca');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  await home.ask('create', 'configmap', 'kept', '--from-literal=word=before');
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

async function authoritiesSecret(): Promise<Record<string, string>> {
  const { stdout } = succeeded(await home.infra('get', 'secret', 'k8sk8s-ca', '-o', 'json'));
  const data = Object.entries<string>(JSON.parse(stdout).data);
  return Object.fromEntries(data.map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]));
}

/** What somebody who reads the Secret has in hand. */
async function steal(name: string): Promise<Credential> {
  const files = await authoritiesSecret();
  return { certificate: files[`${name}.crt`]!, key: files[`${name}.key`]! };
}

const status = async (): Promise<Record<string, RotationStatus>> => {
  const { stdout } = succeeded(await home.k8sk8s('certs', 'rotate-ca', '--status', '--output', 'json'));
  return Object.fromEntries((JSON.parse(stdout) as RotationStatus[]).map((each) => [each.name, each]));
};

/** Revision of etcd's store, asked with a client certificate that a stolen authority signs. */
async function askEtcd(stolen: Credential): Promise<number> {
  const client = await issueLeaf(stolen, { commonName: 'thief', usages: ['clientAuth'] });
  const cluster = connectByFile(home.env.KUBECONFIG!, home.name);
  try {
    const bundle = {
      leaves: { 'apiserver-etcd-client': client },
      authorities: { 'etcd-ca': await steal('etcd-ca') },
      serviceAccount: { publicKey: '', privateKey: '' },
    };
    return (await EtcdGateway.ofPod(cluster, bundle, 'etcd-0').status()).revision;
  } finally {
    await cluster.close();
  }
}

/** The API server's answer to a request that claims to be passed on for an administrator: 200, or 401 or 403. */
async function askAsAdministrator(stolen: Credential): Promise<string> {
  const client = await issueLeaf(stolen, { commonName: 'front-proxy-client', usages: ['clientAuth'] });
  writeFileSync(path.join(home.cwd, 'thief.crt'), client.certificate);
  writeFileSync(path.join(home.cwd, 'thief.key'), client.key);
  const { stdout } = await run(
    'curl',
    [
      ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--cacert', 'tls/ca.pem'],
      ...['--cert', 'thief.crt', '--key', 'thief.key'],
      ...['-H', 'X-Remote-User: thief', '-H', 'X-Remote-Group: system:masters'],
      `https://${host}/api/v1/namespaces/kube-system/secrets`,
    ],
    { cwd: home.cwd },
  );
  return stdout;
}

/** Common names of those whom aggregated API servers believe. */
async function believedByAggregated(): Promise<string> {
  const map = ['get', 'configmap', '-n', 'kube-system', 'extension-apiserver-authentication', '-o'];
  writeFileSync(
    path.join(home.cwd, 'believed.pem'),
    await home.ask(...map, 'jsonpath={.data.requestheader-client-ca-file}'),
  );
  const { stdout } = await run('sh', [
    '-c',
    `openssl crl2pkcs7 -nocrl -certfile ${home.cwd}/believed.pem | openssl pkcs7 -print_certs -noout | grep subject`,
  ]);
  return stdout;
}

// `npm test` replaces them in the same run as the others, below.
describe.runIf(all)('authorities that only components know', slow, () => {
  let stolen: Record<string, Credential>;

  test('before, a stolen key opens etcd and the API', async () => {
    stolen = { etcd: await steal('etcd-ca'), proxy: await steal('front-proxy-ca') };
    expect(await askEtcd(stolen.etcd!)).toBeGreaterThan(1);
    expect(await askAsAdministrator(stolen.proxy!)).toBe('200');
  });

  test('killed while the new ones are trusted, it is told, and neither deploy nor renew loses them', async () => {
    const added = eventually(60, async () =>
      expect(await authoritiesSecret()).toHaveProperty(['etcd-ca-next.key'], expect.stringContaining('PRIVATE KEY')),
    );
    await home.killed(added, 'certs', 'rotate-ca', '--authority', ...quiet);
    succeeded(await home.infra('delete', 'lease', 'k8sk8s', '--ignore-not-found'));
    const told = (await status())['etcd-ca']!;
    expect(told).toMatchObject({ stage: 'added', trusted: ['etcd-ca rotate-ca', 'etcd-ca rotate-ca 2'] });
    succeeded(await home.k8sk8s('deploy'));
    succeeded(await home.k8sk8s('certs', 'renew', '--name', 'scheduler'));
    expect((await status())['etcd-ca']).toEqual(told);
    expect(succeeded(await home.k8sk8s('certs', 'status')).stdout).toMatch(/^etcd-ca-next +36\d\d /m);
    expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.word}')).toBe('before');
    expect(await askEtcd(stolen.etcd!), 'the old one is trusted still').toBeGreaterThan(1);
  });

  test('run again it goes on to the end: the stolen keys open nothing, and what was stored is there', async () => {
    const ended = succeeded(await home.k8sk8s('certs', 'rotate-ca', '--authority', ...quiet));
    expect(ended.stdout).toMatch(/^etcd-peer-ca +etcd-peer-ca rotate-ca 2 +etcd-peer-ca rotate-ca 2 +-$/m);
    await expect(askEtcd(stolen.etcd!)).rejects.toThrow();
    expect(await askAsAdministrator(stolen.proxy!)).toBe('401');
    expect(await believedByAggregated()).toMatch(/^subject.*front-proxy-ca rotate-ca 2\n$/);
    expect(Object.keys(await authoritiesSecret()).filter((file) => /next|previous|switched/.test(file))).toEqual([]);

    expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.word}')).toBe('before');
    await home.ask('create', 'configmap', 'after');
    expect(await askEtcd(await steal('etcd-ca')), 'whoever has the present one').toBeGreaterThan(1);
    changedNothing(await home.k8sk8s('deploy'));
    succeeded(await home.k8sk8s('diff'));
  });

  test('killed again and again it ends as if it had not been', async () => {
    const before = (await status())['etcd-ca']!.signer;
    for (const after of [1500, 4000, 9000, 14_000, 20_000, 26_000]) {
      await home.killed(after, 'certs', 'rotate-ca', '--authority', ...quiet);
      succeeded(await home.infra('delete', 'lease', 'k8sk8s', '--ignore-not-found'));
      await eventually(120, async () =>
        expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.word}')).toBe('before'),
      );
    }
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--authority', ...quiet));
    const after = (await status())['etcd-ca']!;
    expect(after.trusted).toEqual([after.signer]);
    expect(after.signer).not.toBe(before);
    changedNothing(await home.k8sk8s('deploy'));
  });
});

describe('authorities that workers and people know', slow, () => {
  const old = (...args: string[]) => home.hosted(['--kubeconfig=old.kubeconfig', ...args]);
  const ready = () =>
    eventually(120, async () => expect(await home.ask('get', 'nodes')).toMatch(/^worker-\d+ +Ready /m));
  /** Log of kube-proxy, through the API server and the kubelet: both show each other certificates. */
  const logs = () => home.ask('logs', '-n', 'kube-system', 'daemonset/kube-proxy', '--tail=1');
  const restarts = async () =>
    (
      await home.ask(
        'get',
        'pods',
        '-l',
        'app=steady',
        '-o',
        'jsonpath={.items[*].status.containerStatuses[*].restartCount}',
      )
    )
      .split(' ')
      .map(Number);
  let [thief, ofEtcd, ofProxy] = [] as Credential[];

  beforeAll(async () => {
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await ready();
    await home.rolledOut('kubelet-serving-approver', 180, 'kube-system');
    await home.rolledOut('kube-dns', 180, 'kube-system');
    await home.apply(
      `${JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'steady' },
        spec: {
          selector: { matchLabels: { app: 'steady' } },
          template: {
            metadata: { labels: { app: 'steady' } },
            spec: {
              automountServiceAccountToken: false,
              containers: [{ name: 'steady', image: 'registry.k8s.io/pause:3.10' }],
            },
          },
        },
      })}\n`,
    );
    copyFileSync(path.join(home.cwd, 'tls/kubeconfig'), path.join(home.cwd, 'old.kubeconfig'));
    [thief, ofEtcd, ofProxy] = [await steal('ca'), await steal('etcd-ca'), await steal('front-proxy-ca')];
    expect(await askEtcd(ofEtcd)).toBeGreaterThan(1);
    expect(await askAsAdministrator(ofProxy)).toBe('200');
  });

  test('the first run lets the new ones sign, and everybody goes on with what they have', async () => {
    const first = succeeded(await home.k8sk8s('certs', 'rotate-ca', ...(all ? ['--authority', ...known] : [])));
    expect(first.stderr).toContain('upload ca.pem and kubeconfig-kubelets from tls/');
    expect((await status()).ca).toMatchObject({ stage: 'held', signer: 'kubernetes-ca rotate-ca 2' });
    succeeded(await old('get', 'nodes'));
    await ready();
    await eventually(120, logs);
    changedNothing(await home.k8sk8s('deploy'));
  });

  test.skipIf(all)('what was stolen of those that only components know opens nothing any more', async () => {
    await expect(askEtcd(ofEtcd!)).rejects.toThrow();
    expect(await askAsAdministrator(ofProxy!)).toBe('401');
    expect(await believedByAggregated()).toMatch(/^subject.*front-proxy-ca rotate-ca 2\n$/);
    for (const name of quiet) expect((await status())[name]).toMatchObject({ stage: 'one' });
    expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.word}')).toBe('before');
  });

  test('while the worker was not told, the old ones stay', async () => {
    const answer = await home.k8sk8s('certs', 'rotate-ca');
    expect(answer.code).toBe(1);
    expect(answer).toEqual(refused('clients-untold', /worker worker-\d/));
    await ready();
    succeeded(await old('get', 'nodes'));
  });

  test.runIf(all)('once it was told, a person is asked, and only what is of the old ones is refused', async () => {
    await visitWorker(home);
    await home.rolledOut('kubelet-serving-approver', 180, 'kube-system');
    await home.rolledOut('kube-dns', 180, 'kube-system');
    await eventually(180, async () => {
      const asked = await home.k8sk8s('certs', 'rotate-ca');
      expect(asked).toEqual(refused('not-confirmed', 'kubelet-serving-ca', '--yes'));
    });
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--yes'));
    expect((await status()).ca).toMatchObject({ stage: 'one', trusted: ['kubernetes-ca rotate-ca 2'] });
    expect((await old('get', 'nodes')).stderr).toContain('unknown authority');
    const stolen = await issueLeaf(thief!, {
      commonName: 'thief',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    });
    writeFileSync(path.join(home.cwd, 'thief.crt'), stolen.certificate);
    writeFileSync(path.join(home.cwd, 'thief.key'), stolen.key);
    const { stdout } = await run(
      'curl',
      [
        ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--cacert', 'tls/ca.pem'],
        ...['--cert', 'thief.crt', '--key', 'thief.key', `https://${host}/api/v1/secrets`],
      ],
      { cwd: home.cwd },
    );
    expect(stdout).toBe('401');
    await eventually(120, logs);
    // Longer than a kubelet may be silent before its node is not Ready: what it says is heard.
    const renewed = () =>
      home.ask('get', 'lease', '-n', 'kube-node-lease', '-o', 'jsonpath={.items[*].spec.renewTime}');
    const before = await renewed();
    await eventually(60, async () => expect(await renewed()).not.toBe(before));
    await ready();
    await home.rolledOut('steady', 60);
    expect(await restarts()).toEqual([0]);
    changedNothing(await home.k8sk8s('deploy'));
  });

  test.runIf(all)('another visit, and the worker trusts the old ones no more', async () => {
    await visitWorker(home);
    await ready();
    await eventually(120, logs);
  });
});
