import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createAuthority } from '../../src/pki/issue.ts';
import { buildExposure } from '../../src/plane/exposures/table.ts';
import type { CheckResult } from '../../src/preflight/check.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { rightsFor } from '../../src/preflight/rights.ts';
import { connectByFile } from '../connect-by-file.ts';
import { outcome, recorded, spec } from './preflight-world.ts';
import { adminKubeconfig, kubeconfigOf, newNamespace, request } from './world.ts';

describe('rights', () => {
  const verbs = rightsFor(spec()).flatMap(({ group, resource, verbs }) =>
    verbs.map((verb) => ({ group, resource, verb })),
  );
  test.each(verbs)('missing $verb on $resource is named', async ({ group, resource, verb }) => {
    // A rule for several resources is narrowed to the others, and this one granted again without the verb.
    const delegate = await newNamespace({
      without: (rule) => {
        if (!rule.apiGroups.includes(group) || !rule.resources.includes(resource)) return rule;
        const others = { ...rule, resources: rule.resources.filter((each) => each !== resource) };
        const narrowed = { ...rule, resources: [resource], verbs: rule.verbs.filter((each) => each !== verb) };
        return [others, narrowed].filter(({ resources, verbs }) => resources.length > 0 && verbs.length > 0);
      },
    });
    const { state, text } = await outcome(delegate, 'rights');
    expect(state).toBe('failed');
    expect(text).toContain(verb);
    expect(text).toContain(resource.split('/')[0]!);
    expect(text).toContain('namespace-admin.yaml');
  });
});

test('with --expose nodeport ingresses need only be read, and deleted where the plane has one', async () => {
  const blind = (verbs: string[]) =>
    newNamespace({
      without: (rule) => (rule.resources.includes('ingresses') ? { ...rule, verbs } : rule),
    });
  expect((await outcome(await blind(['get', 'list']), 'rights', { expose: 'nodeport' })).state).toBe('ok');
  expect((await outcome(await blind(['create']), 'rights', { expose: 'nodeport' })).text).toContain(
    'get, list ingresses.networking.k8s.io',
  );
  const exposed = await blind(['get', 'list']);
  for (const object of [recorded(), ...buildExposure('plane-one', spec())]) await exposed.admin.create(object);
  expect((await outcome(exposed, 'rights', { expose: 'nodeport' })).text).toContain(
    'delete ingresses.networking.k8s.io',
  );
});

test('without the right to create pods their check is open, and nothing else', async () => {
  const delegate = await newNamespace({
    without: (rule) =>
      rule.resources.includes('pods') ? { ...rule, verbs: ['get', 'list', 'watch', 'delete'] } : rule,
  });
  const { state, text, failed } = await outcome(delegate, 'pods');
  expect([state, failed]).toEqual(['unknown', []]);
  expect(text).toContain('create pods');
});

describe('namespaces', () => {
  test('one that is not there', async () => {
    const cluster = connectByFile(adminKubeconfig, 'nowhere');
    const results = await runDeployChecks(cluster, spec());
    const failed = results.filter(({ outcome: { state } }) => state === 'failed');
    expect(failed.map(({ name }) => name)).toEqual(['namespace']);
    expect(JSON.stringify(failed[0]!.outcome)).toContain('\\"nowhere\\"');
    // What could only tell the same again is not told.
    expect(results.map(({ name }) => name)).toEqual([
      'access',
      'namespace',
      'host',
      'host-taken',
      'arguments',
      'networks',
    ]);
  });
  test("somebody else's, or a name that was mistyped: one failure, not a list of all rights", async () => {
    const [mine, theirs] = [await newNamespace(), await newNamespace()];
    for (const name of [theirs.name, 'taem']) {
      const results = await runDeployChecks(connectByFile(mine.kubeconfig, name), spec());
      const failed = results.filter(({ outcome: { state } }) => state === 'failed');
      expect(failed.map(({ name }) => name)).toEqual(['namespace']);
      expect(JSON.stringify(failed[0]!.outcome)).toContain(`\\"${name}\\"`);
    }
  });
  test("the infra cluster's own", async () => {
    const cluster = connectByFile(adminKubeconfig, 'kube-system');
    const result = (await runDeployChecks(cluster, spec())).find(({ name }) => name === 'namespace')!;
    expect(JSON.stringify(result.outcome)).toContain('\\"kube-system\\"');
  });
  test('one that is being deleted', async () => {
    const delegate = await newNamespace();
    await request(delegate.admin, 'DELETE', `/api/v1/namespaces/${delegate.name}`);
    const { text, failed } = await outcome(delegate, 'namespace');
    expect(text).toContain(delegate.name);
    expect(failed).toEqual(['namespace']);
  });
});

describe('credentials', () => {
  /** The only result of a run with a changed kubeconfig. */
  async function refused(change: (kubeconfig: string) => string): Promise<CheckResult> {
    const delegate = await newNamespace();
    const kubeconfig = `${delegate.kubeconfig}-changed`;
    writeFileSync(kubeconfig, change(readFileSync(delegate.kubeconfig, 'utf8')), { mode: 0o600 });
    const [first, ...others] = await runDeployChecks(connectByFile(kubeconfig, delegate.name), spec());
    expect(others).toEqual([]);
    expect(first!.outcome.state).toBe('failed');
    return first!;
  }
  const withoutClient = (text: string) => text.replace(/client-(certificate|key)-data: \S+/g, '');

  /** The client library takes plain http only of those who look away. */
  const http = (text: string) =>
    text.replace(/certificate-authority-data: \S+/, 'insecure-skip-tls-verify: true').replace('https://', 'http://');

  test('an expired certificate', async () => {
    const delegate = await newNamespace();
    const kubeconfig = await kubeconfigOf('late', delegate.name, {
      days: 1,
      now: new Date(Date.now() - 10 * 86_400_000),
    });
    const [first, ...others] = await runDeployChecks(connectByFile(kubeconfig, delegate.name), spec());
    expect(first).toMatchObject({ anchor: 'infra-unauthorized', outcome: { state: 'failed' } });
    expect(others).toEqual([]);
  });
  test('a token that nobody knows', async () => {
    const { anchor, outcome } = await refused((text) =>
      text.replace(/client-certificate-data: \S+/, 'token: nonsense').replace(/client-key-data: \S+/, ''),
    );
    expect(anchor).toBe('infra-unauthorized');
    expect(JSON.stringify(outcome)).toContain('401');
  });
  test('none at all', async () => {
    // Refused before anything is sent: kubectl would ask for a user name.
    await expect(refused(withoutClient)).rejects.toMatchObject({ anchor: 'infra-kubeconfig' });
  });
  test("another cluster's CA", async () => {
    const { certificate } = await createAuthority('another cluster');
    const { anchor } = await refused((text) =>
      text.replace(
        /certificate-authority-data: \S+/,
        `certificate-authority-data: ${Buffer.from(certificate).toString('base64')}`,
      ),
    );
    expect(anchor).toBe('infra-tls');
  });
  test('a server that does not listen', async () => {
    const { anchor, outcome } = await refused((text) => text.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    expect(anchor).toBe('infra-unreachable');
    expect(JSON.stringify(outcome)).toContain('https://127.0.0.1:1');
  });
  test('http where https is spoken', async () => {
    const { outcome } = await refused(http);
    expect(JSON.stringify(outcome)).toContain('Kubernetes API server');
  });
  test.each([
    ['a page', 200, 'text/html', '<html>Welcome</html>'],
    ['JSON of its own', 200, 'application/json', '{"hello": "world"}'],
    ['a page in place of JSON', 200, 'application/json', '<html>Sign in</html>'],
    ['not found', 404, 'text/plain', '404 page not found'],
  ])('a web server with %s instead of an API server', async (_, status, type, body) => {
    const web = createServer((_request, response) => response.writeHead(status, { 'Content-Type': type }).end(body));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = web.address() as { port: number };
      const { outcome } = await refused((text) =>
        withoutClient(http(text)).replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`),
      );
      expect(JSON.stringify(outcome)).toContain('Kubernetes API server');
    } finally {
      web.close();
      web.closeAllConnections();
    }
  });
});
