import { randomBytes } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CertificateStatus } from '../../src/operations/keys/certificates.ts';
import { inspect } from '../../src/pki/inspect.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { etcdFiles } from './etcd-files.ts';
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

/** Stores a text in a Secret and another in a ConfigMap. */
async function store(name: string): Promise<{ secret: string; open: string }> {
  const [secret, open] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  await home.ask('create', 'secret', 'generic', name, `--from-literal=word=${secret}`);
  await home.ask('create', 'configmap', name, `--from-literal=word=${open}`);
  return { secret, open };
}

const read = async (name: string) =>
  Buffer.from(await home.ask('get', 'secret', name, '-o', 'jsonpath={.data.word}'), 'base64').toString();

async function fromPlane(secret: string, file: string): Promise<string> {
  const { stdout } = succeeded(await home.infra('get', 'secret', secret, '-o', 'json'));
  return Buffer.from(JSON.parse(stdout).data[file], 'base64').toString();
}

async function put(secret: string, files: Record<string, string>): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')]),
  );
  succeeded(await home.infra('patch', 'secret', secret, '--type=merge', '-p', JSON.stringify({ data })));
}

const podUids = async () => uidsOf(await home.pods());

describe("hosted Secrets in etcd's own files", () => {
  test('are not to be found in plain text, and ConfigMaps are', async () => {
    const { secret, open } = await store('marked');
    const files = etcdFiles(planeId);
    expect(files.includes(open), 'the search finds what is in plain text').toBe(true);
    expect(files.includes(secret)).toBe(false);
    expect(files.includes(Buffer.from(secret).toString('base64'))).toBe(false);
    expect(files.includes('k8s:enc:secretbox:v1:key1-')).toBe(true);
    expect(await read('marked')).toBe(secret);
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
    const { secret } = await store('before');
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    expect(succeeded(await home.k8sk8s('encrypt', 'status')).stdout).toContain('by key2-');
    expect(await read('before')).toBe(secret);
    const { secret: later } = await store('after');
    expect(etcdFiles(planeId).includes(later)).toBe(false);
  });

  test('is how a plane that did not encrypt comes to it', async () => {
    await toPlainText();
    const { secret: bare } = await store('bare');
    expect(etcdFiles(planeId).includes(bare), 'this plane does not encrypt').toBe(true);
    const status = await home.k8sk8s('encrypt', 'status');
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('Not encrypted');
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    const { secret: fresh } = await store('fresh');
    expect(etcdFiles(planeId).includes(fresh)).toBe(false);
    expect(await read('bare')).toBe(bare);
  });

  test('killed again and again it ends as if it had not been', async () => {
    const { secret } = await store('survivor');
    const number = async () => Number(/by key(\d+)-/.exec((await home.k8sk8s('encrypt', 'status')).stdout)?.[1]);
    const before = await number();
    for (const after of [700, 1500, 4000, 9000, 14_000]) {
      await home.killed(after, 'encrypt', 'rotate');
      succeeded(await home.infra('delete', 'lease', 'k8sk8s', '--ignore-not-found'));
      await eventually(60, async () => expect(await read('survivor')).toBe(secret));
    }
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    expect(await number()).toBeGreaterThan(before);
    expect(await read('survivor')).toBe(secret);
    changedNothing(await home.k8sk8s('deploy'));
  });
});

/** Leaves a plane as a k8sk8s that did not encrypt would have: everything in plain text, and no key. */
async function toPlainText(): Promise<void> {
  const text =
    'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{identity: {}}, KEYS]}]\n';
  const keys = /- secretbox:[\s\S]*$/.exec(await fromPlane('k8sk8s-ca', 'encryption.yaml'))![0];
  const both = text.replace('KEYS', JSON.stringify({ secretbox: { keys: [keyOf(keys)] } }));
  await put('kube-apiserver', { 'encryption.yaml': both });
  await restartApiServer();
  await home.ask('get', 'secrets', '-A', '-o', 'name');
  succeeded(await home.hosted(['replace', '-f', '-'], await home.ask('get', 'secrets', '-A', '-o', 'json')));
  const plain = text.replace(', KEYS', '');
  await put('k8sk8s-ca', { 'encryption.yaml': plain });
  await put('kube-apiserver', { 'encryption.yaml': plain });
  await restartApiServer();
}

function keyOf(text: string): { name: string; secret: string } {
  return { name: /name: (\S+)/.exec(text)![1]!, secret: /secret: (\S+)/.exec(text)![1]! };
}

async function restartApiServer(): Promise<void> {
  succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
  await eventually(60, () => home.ask('get', '--raw', '/readyz'));
}

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
    const authority = {
      certificate: await fromPlane('k8sk8s-ca', 'ca.crt'),
      key: await fromPlane('k8sk8s-ca', 'ca.key'),
    };
    const short = await issueLeaf(
      authority,
      { commonName: 'system:kube-scheduler', usages: ['clientAuth'] },
      { days: 12.5 },
    );
    await put('kube-scheduler', { 'scheduler.crt': short.certificate, 'scheduler.key': short.key });
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
    const authority = {
      certificate: await fromPlane('k8sk8s-ca', 'ca.crt'),
      key: await fromPlane('k8sk8s-ca', 'ca.key'),
    };
    const { commonName, dnsNames, ipAddresses } = inspect(await fromPlane('kube-apiserver', 'apiserver.crt'));
    const expired = await issueLeaf(
      authority,
      { commonName, dnsNames, ipAddresses, usages: ['serverAuth'] },
      { days: 1 / 86_400 },
    );
    await put('kube-apiserver', { 'apiserver.crt': expired.certificate, 'apiserver.key': expired.key });
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
    let [asked, failed] = [0, 0];
    let renewing = true;
    const asking = (async () => {
      while (renewing) {
        asked++;
        if ((await home.hosted(['get', '--raw', '/readyz'])).code !== 0) failed++;
      }
    })();
    const renewed = JSON.parse(succeeded(await home.k8sk8s('certs', 'renew', '--output', 'json')).stdout);
    renewing = false;
    await asking;
    console.log(
      `the API server showed its new certificate after ${renewed.shownAfter} ms; ${failed} of ${asked} requests failed`,
    );
    expect(renewed.names).toEqual(expect.arrayContaining(['apiserver', 'etcd-0', 'etcd-0-peer', 'admin']));
    expect(failed).toBe(0);
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
    await put('k8sk8s-ca', { 'service-account-switched': new Date(Date.now() - 25 * 3_600_000).toISOString() });
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
  test('the audit log has who read a Secret and nothing of what was in it, and stays out of the way otherwise', async () => {
    const { secret } = await store('audited');
    await read('audited');
    await eventually(30, async () => {
      const { stdout } = succeeded(await home.k8sk8s('logs', '--audit'));
      const events = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const reading = events.find(({ verb, objectRef }) => verb === 'get' && objectRef?.name === 'audited');
      expect(reading).toMatchObject({ level: 'Metadata', user: { username: 'kubernetes-admin' } });
      expect(stdout).not.toContain(secret);
      expect(stdout).not.toContain(Buffer.from(secret).toString('base64'));
      expect(stdout).not.toMatch(/"(request|response)Object"/);
    });
    const { stdout } = succeeded(await home.k8sk8s('logs', 'kube-apiserver'));
    expect(stdout).not.toContain('audit.k8s.io/v1"');
    expect(stdout.trim()).not.toBe('');
  });

  test('weak ciphers and old TLS are refused, and a token lives a day at most', async () => {
    const hello = (...args: string[]) =>
      run('sh', [
        '-c',
        `openssl s_client -connect ${host}:443 -servername ${host} ${args.join(' ')} </dev/null 2>&1 | grep -c "BEGIN CERT"`,
      ]);
    expect((await hello('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).stdout.trim()).toBe('1');
    expect((await hello('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA')).stdout.trim()).toBe('0');
    expect((await hello('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).stdout.trim()).toBe('0');
    const token = await home.ask('create', 'token', 'default', '--duration=720h');
    const { exp, iat } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    expect((exp - iat) / 3600).toBe(24);
  });

  test('a Service cannot claim an address of others', async () => {
    const answer = await home.hosted(
      ['apply', '-f', '-'],
      'apiVersion: v1\nkind: Service\nmetadata: {name: thief}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n',
    );
    expect(answer.stderr).toContain('externalIPs');
    expect(answer.code).not.toBe(0);
  });
});

describe('users', () => {
  const as = (name: string, ...args: string[]) => home.hosted([`--kubeconfig=${name}.kubeconfig`, ...args]);

  test('one who may read may read, and nothing more; revoked, nothing at all', async () => {
    const created = succeeded(
      await home.k8sk8s(
        'user',
        'create',
        'alice',
        '--cluster-role',
        'view',
        '--ttl',
        '1h',
        '--file',
        'alice.kubeconfig',
      ),
    );
    expect(created.stdout).toBe('');
    expect(statSync(path.join(home.cwd, 'alice.kubeconfig')).mode & 0o777).toBe(0o600);
    // RBAC counts a moment after it was written.
    await eventually(20, async () => succeeded(await as('alice', 'get', 'configmaps')));
    expect((await as('alice', 'get', 'secrets')).stderr).toContain('User "alice" cannot list');
    expect(succeeded(await home.k8sk8s('user', 'list')).stdout).toMatch(/^alice +- +view +20/m);

    const revoked = succeeded(await home.k8sk8s('user', 'revoke', 'alice'));
    expect(revoked.stderr).toContain('A certificate cannot be called back');
    await eventually(20, async () =>
      expect((await as('alice', 'get', 'configmaps')).stderr).toContain('User "alice" cannot list'),
    );
    expect(succeeded(await home.k8sk8s('user', 'list')).stdout).toMatch(/^alice +- +revoked/m);
  });

  test('a group, a namespace, and what revoking leaves open', async () => {
    const { stdout } = succeeded(
      await home.k8sk8s(
        'user',
        'create',
        'bob@example.com',
        '--group',
        'devs',
        '--cluster-role',
        'edit',
        '--in-namespace',
        'default',
      ),
    );
    writeFileSync(path.join(home.cwd, 'bob.kubeconfig'), stdout);
    await eventually(20, async () => succeeded(await as('bob', 'create', 'configmap', 'of-bob')));
    expect((await as('bob', '-n', 'kube-system', 'get', 'configmaps')).code).not.toBe(0);
    await home.ask('create', 'clusterrolebinding', 'devs', '--clusterrole=view', '--group=devs');
    const revoked = succeeded(await home.k8sk8s('user', 'revoke', 'bob@example.com'));
    expect(revoked.stderr).toContain('clusterrolebinding "devs" (view)');
    await eventually(20, async () =>
      expect((await as('bob', 'create', 'configmap', 'of-bob', '--dry-run=server')).stderr).toContain('cannot create'),
    );
    await eventually(20, async () => succeeded(await as('bob', 'get', 'configmaps')));
  });

  test('what cannot be is told before anything is made', async () => {
    const tried = (...args: string[]) => home.k8sk8s('user', 'create', ...args);
    expect(await tried('carol', '--group', 'system:masters')).toEqual(refused('bad-values', 'system:masters'));
    expect(await tried('carol', '--ttl', '5m')).toEqual(refused('bad-values', '--ttl', '10m'));
    expect(await tried('carol', '--role', 'reader')).toEqual(refused('bad-values', '--in-namespace'));
    expect(await tried('carol', '--cluster-role', 'veiw')).toEqual(refused('no-role', '"view"'));
    expect(await tried('carol', '--cluster-role', 'view', '--in-namespace', 'nowhere')).toEqual(
      refused('no-role', '"nowhere"'),
    );
    expect((await home.k8sk8s('user', 'list')).stdout).not.toContain('carol');
    expect(await home.k8sk8s('user', 'revoke', 'carol')).toEqual(refused('no-user', '"carol"'));
  });
});
