import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CertificateStatus } from '../../src/operations/keys/certificates.ts';
import { inspect } from '../../src/pki/inspect.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { authorityOf, fromPlane, put, read, store, toPlainText } from './credentials-world.ts';
import { etcdFiles } from './etcd-files.ts';
import { auditLogKeepsSecrets, noAddressOfOthers, weakTlsIsRefused } from './hardening.ts';
import { Tenant } from './tenant.ts';
import { groupInNamespace, impossibleUsers, mayReadUntilRevoked } from './users.ts';
import { changedNothing, eventually, Namespace, run, sandboxCommand, succeeded, uidsOf } from './world.ts';

// What a plane keeps secret, and how long what it lets people in with lives. No workers are needed.

const host = 'credentials.e2e.test';
const all = runsAllOf('e2e/credentials');
let home: Namespace;
let planeId: string;

beforeAll(async () => {
  home = await Namespace.open('credentials');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  planeId = JSON.parse(succeeded(await home.k8sk8s('status', '--output', 'json')).stdout).plane;
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

const podUids = async () => uidsOf(await home.pods());

describe("hosted Secrets in etcd's own files", () => {
  test('are not to be found in plain text, and ConfigMaps are', async () => {
    const { secret, open } = await store(home, 'marked');
    const files = etcdFiles(planeId);
    expect(files.includes(open), 'the search finds what is in plain text').toBe(true);
    expect(files.includes(secret)).toBe(false);
    expect(files.includes(Buffer.from(secret).toString('base64'))).toBe(false);
    expect(files.includes('k8s:enc:secretbox:v1:key1-')).toBe(true);
    expect(await read(home, 'marked')).toBe(secret);
  });

  test('status tells the key and no secret', async () => {
    const { stdout } = succeeded(await home.k8sk8s('encrypt', 'status'));
    expect(stdout).toMatch(/Encrypted: secrets of the hosted cluster lie in etcd by key1-\d{8} \(secretbox\)/);
    const json = JSON.parse(succeeded(await home.k8sk8s('encrypt', 'status', '--output', 'json')).stdout);
    expect(json).toMatchObject({ stage: 'encrypted', inUse: true, resources: ['secrets'] });
    expect(JSON.stringify(json)).not.toMatch(/[A-Za-z0-9+/]{43}=/);
  });
});

// Restarts of the API server, one after the other.
const slow = { timeout: 900_000 };

describe.runIf(all)('a change of the encryption key', slow, () => {
  test('ends with all Secrets written by the new one', async () => {
    const { secret } = await store(home, 'before');
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    expect(succeeded(await home.k8sk8s('encrypt', 'status')).stdout).toContain('by key2-');
    expect(await read(home, 'before')).toBe(secret);
    const { secret: later } = await store(home, 'after');
    expect(etcdFiles(planeId).includes(later)).toBe(false);
  });

  test('is how a plane that did not encrypt comes to it', async () => {
    await toPlainText(home);
    const { secret: bare } = await store(home, 'bare');
    expect(etcdFiles(planeId).includes(bare), 'this plane does not encrypt').toBe(true);
    const status = await home.k8sk8s('encrypt', 'status');
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('Not encrypted');
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    const { secret: fresh } = await store(home, 'fresh');
    expect(etcdFiles(planeId).includes(fresh)).toBe(false);
    expect(await read(home, 'bare')).toBe(bare);
  });

  test('loses no Secret that is written meanwhile by a connection to an API server that leaves', async () => {
    // Not behind the ingress controller, by which k8sk8s itself would be led to the API server that leaves, and wait for it.
    const direct = await Namespace.open('credentials-written');
    const { address } = firstInfra(requireState(direct.sandbox));
    succeeded(await direct.k8sk8s('deploy', '--expose', 'nodeport', '-h', address));
    const writer = new Tenant(direct);
    const written: string[] = [];
    let rotating = true;
    const writing = (async () => {
      while (rotating) {
        const name = `written-${written.length}`;
        const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { word: name } };
        const { status } = await writer.ask('POST', '/api/v1/namespaces/default/secrets', { body });
        if (status === 201) written.push(name);
      }
    })();
    const { code, stderr } = await direct.k8sk8s('encrypt', 'rotate');
    rotating = false;
    await writing;
    expect(code, stderr).toBe(0);
    expect(written.length).toBeGreaterThan(100);
    const readable = (await direct.ask('get', 'secrets', '-o', 'name')).split('\n');
    expect(written.filter((name) => !readable.includes(`secret/${name}`))).toEqual([]);
    succeeded(await direct.k8sk8s('destroy', '--yes'));
  });

  test('killed again and again it ends as if it had not been', async () => {
    const { secret } = await store(home, 'survivor');
    const number = async () => Number(/by key(\d+)-/.exec((await home.k8sk8s('encrypt', 'status')).stdout)?.[1]);
    const before = await number();
    for (const after of [700, 1500, 4000, 9000, 14_000]) {
      await home.killed(after, 'encrypt', 'rotate');
      succeeded(await home.infra('delete', 'lease', 'k8sk8s', '--ignore-not-found'));
      await eventually(60, async () => expect(await read(home, 'survivor')).toBe(secret));
    }
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    expect(await number()).toBeGreaterThan(before);
    expect(await read(home, 'survivor')).toBe(secret);
    changedNothing(await home.k8sk8s('deploy'));
  });
});

describe('certificates', () => {
  const status = async (): Promise<CertificateStatus[]> =>
    JSON.parse((await home.k8sk8s('certs', 'status', '--output', 'json')).stdout);

  test('each is told with its end and what that means', async () => {
    const { stdout } = succeeded(await home.k8sk8s('certs', 'status'));
    expect(stdout).toMatch(/^scheduler +36\d .* new pods get no node$/m);
    const found = await status();
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining(['ca', 'apiserver', 'admin', 'etcd-0-peer']));
    expect(found.find(({ name }) => name === 'apiserver')!.names).toContain(host);
  });

  test('one near its end makes status fail, and deploy renews it, says so and restarts nothing', async () => {
    const authority = await authorityOf(home);
    const short = await issueLeaf(
      authority,
      { commonName: 'system:kube-scheduler', usages: ['clientAuth'] },
      { days: 12.5 },
    );
    await put(home, 'kube-scheduler', { 'scheduler.crt': short.certificate, 'scheduler.key': short.key });
    const near = await home.k8sk8s('certs', 'status');
    expect(near.code).toBe(1);
    expect(near.stdout).toMatch(/^scheduler +12 !/m);
    const pods = await podUids();
    const deployed = succeeded(await home.k8sk8s('deploy'));
    expect(deployed.stderr).toContain('certificate scheduler renewed, 12 days before its end');
    expect((await home.k8sk8s('certs', 'status')).code).toBe(0);
    expect(await podUids()).toEqual(pods);
  });

  test('renewed by name, only that one changes; authorities and unknown names are refused', async () => {
    const before = await status();
    const renewed = succeeded(await home.k8sk8s('certs', 'renew', '--name', 'scheduler'));
    expect(renewed.stderr).toContain('certificate scheduler renewed until');
    const changed = (await status()).filter(
      ({ name, notAfter }) => before.find((each) => each.name === name)!.notAfter !== notAfter,
    );
    expect(changed.map(({ name }) => name)).toEqual(['scheduler']);
    const authority = await home.k8sk8s('certs', 'renew', '--name', 'ca');
    expect(authority.code).toBe(2);
    expect(authority).toEqual(refused('no-certificate', 'ca'));
    expect(await home.k8sk8s('certs', 'renew', '--name', 'schedular')).toEqual(
      refused('no-certificate', '"scheduler"'),
    );
  });

  test.runIf(all)('an API server whose certificate has expired is brought back by deploy', async () => {
    const authority = await authorityOf(home);
    const { commonName, dnsNames, ipAddresses } = inspect(await fromPlane(home, 'kube-apiserver', 'apiserver.crt'));
    const expired = await issueLeaf(
      authority,
      { commonName, dnsNames, ipAddresses, usages: ['serverAuth'] },
      { days: 1 / 86_400 },
    );
    await put(home, 'kube-apiserver', { 'apiserver.crt': expired.certificate, 'apiserver.key': expired.key });
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
    await eventually(60, async () =>
      expect((await home.hosted(['get', '--raw', '/readyz'])).stderr).toContain('certificate has expired'),
    );
    expect((await home.k8sk8s('certs', 'status')).stdout).toMatch(/^apiserver +-1 !/m);
    const deployed = succeeded(await home.k8sk8s('deploy'));
    expect(deployed.stderr).toContain('certificate apiserver renewed, 1 day after its end');
    await home.ask('get', '--raw', '/readyz');
  });

  test.runIf(all)('all renewed at once: the API server shows the new one, and not one request fails', async () => {
    const pods = await podUids();
    const failed: string[] = [];
    let [asked, renewing] = [0, true];
    const asking = (async () => {
      while (renewing) {
        asked++;
        const { code, stderr } = await home.hosted(['get', '--raw', '/readyz']);
        if (code !== 0) failed.push(stderr);
      }
    })();
    const renewed = JSON.parse(succeeded(await home.k8sk8s('certs', 'renew', '--output', 'json')).stdout);
    renewing = false;
    await asking;
    console.log(
      `the API server showed its new certificate after ${renewed.shownAfter} ms; ${failed.length} of ${asked} requests failed`,
    );
    expect(renewed.names).toEqual(expect.arrayContaining(['apiserver', 'etcd-0', 'etcd-0-peer', 'admin']));
    expect(failed).toEqual([]);
    expect(await podUids()).toEqual(pods);
    // tls/kubeconfig's certificate, which is the one before, still is one.
    await home.ask('get', 'namespaces');
    succeeded(await home.k8sk8s('kubeconfig'));
    await home.ask('create', 'configmap', 'after-renewal');
  });
});

describe.runIf(all)('the key of ServiceAccount tokens', slow, () => {
  const newToken = () => home.ask('create', 'token', 'default');
  /** The API server's answer to a token: 201 accepted, 401 not. */
  const answer = async (token: string) =>
    (
      await run(
        'curl',
        [
          ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--cacert', 'tls/ca.pem'],
          ...['-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/json'],
          ...['-d', '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'],
          `https://${host}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
        ],
        { cwd: home.cwd },
      )
    ).stdout;

  test('changes while tokens of the old one stay valid; the old one is kept as long as one may live', async () => {
    await home.apply(
      'apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata: {name: endless, annotations: {kubernetes.io/service-account.name: default}}\n',
    );
    await eventually(20, async () =>
      expect(await home.ask('get', 'secret', 'endless', '-o', 'jsonpath={.data.token}')).not.toBe(''),
    );
    const old = await newToken();
    const first = succeeded(await home.k8sk8s('certs', 'rotate-service-account-key', '--output', 'json'));
    expect(JSON.parse(first.stdout)).toMatchObject({ stage: 'switched', endlessTokens: ['default/endless'] });
    const fresh = await newToken();
    expect([await answer(old), await answer(fresh)]).toEqual(['201', '201']);

    const again = await home.k8sk8s('certs', 'rotate-service-account-key');
    expect(again).toEqual(refused('old-key-needed'));
    changedNothing(await home.k8sk8s('deploy'));

    // As if a day had passed: now only the token that never ends stands in the way.
    await put(home, 'k8sk8s-ca', { 'service-account-switched': new Date(Date.now() - 25 * 3_600_000).toISOString() });
    const endless = await home.k8sk8s('certs', 'rotate-service-account-key');
    expect(endless).toEqual(refused('old-key-needed', 'default/endless'));
    await home.ask('delete', 'secret', 'endless');
    succeeded(await home.k8sk8s('certs', 'rotate-service-account-key'));
    expect([await answer(old), await answer(fresh)]).toEqual(['401', '201']);
    expect(succeeded(await home.k8sk8s('certs', 'rotate-service-account-key', '--status')).stdout).toContain(
      'no other is accepted',
    );
  });

  test('dropped at once, tokens of it are refused at once', async () => {
    const old = await newToken();
    succeeded(await home.k8sk8s('certs', 'rotate-service-account-key', '--drop-now'));
    expect(await answer(old)).toBe('401');
    expect(await answer(await newToken())).toBe('201');
  });
});

describe('hardening', () => {
  test('the audit log has who read a Secret and nothing of what was in it, and stays out of the way otherwise', () =>
    auditLogKeepsSecrets(home));
  test('weak ciphers and old TLS are refused, and a token lives a day at most', () => weakTlsIsRefused(home, host));
  test('a Service cannot claim an address of others', () => noAddressOfOthers(home));
});

describe('users', () => {
  test('one who may read may read, and nothing more; revoked, nothing at all', () => mayReadUntilRevoked(home));
  test('a group, a namespace, and what revoking leaves open', () => groupInNamespace(home));
  test('what cannot be is told before anything is made', () => impossibleUsers(home));
});
