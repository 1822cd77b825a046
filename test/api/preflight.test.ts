import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec } from '../../src/config/schema.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { Existing } from '../../src/live/apply.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { buildExposure } from '../../src/plane/exposures/table.ts';
import { toConfigMap } from '../../src/plane/record.ts';
import { secretNames, secretsByContent } from '../../src/plane/secrets.ts';
import { startFilesOf } from '../../src/plane/start-files.ts';
import type { CheckResult } from '../../src/preflight/check.ts';
import { assess, preflightChecks } from '../../src/preflight/deploy-checks.ts';
import { otherApiServer } from '../../src/preflight/host-taken.ts';
import { rightsFor } from '../../src/preflight/rights.ts';
import { told } from '../../src/ui/words.ts';
import { connectByFile } from '../connect-by-file.ts';
import { adminKubeconfig, type Delegate, kubeconfigOf, newNamespace, request } from './world.ts';

const spec = (input: object = {}): ClusterSpec => parseSpec({ host: 'localhost', ...input }, 'test');

/** The outcome of one check, and that all others of the run are not failed beside it unless named. */
async function outcome(
  delegate: Delegate,
  name: string,
  input: object = {},
): Promise<{ state: string; text: string; failed: string[] }> {
  const results = await assess(delegate.cluster, spec(input));
  const found = results.find((result) => result.name === name)!;
  return {
    state: found.outcome.state,
    text: JSON.stringify(told(found.outcome)),
    failed: results
      .filter((result) => result.severity === 'fatal' && result.outcome.state === 'failed')
      .map((result) => result.name),
  };
}

const ours = { 'app.kubernetes.io/part-of': 'k8sk8s', 'app.kubernetes.io/managed-by': 'k8sk8s' };

function owned(kind: 'Secret', name: string, planeId: string): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, labels: { ...ours, 'app.kubernetes.io/instance': planeId } } };
}

/** What a policy looks at. */
const rule = (apiGroup: string, resource: string) => ({
  apiGroups: [apiGroup],
  apiVersions: ['*'],
  operations: ['CREATE', 'UPDATE'],
  resources: [resource],
});

/** A ValidatingAdmissionPolicy of the infra administrator for one namespace. */
async function policed({ name, admin }: Delegate, spec: object): Promise<void> {
  const at = '/apis/admissionregistration.k8s.io/v1';
  const apiVersion = 'admissionregistration.k8s.io/v1';
  await request(admin, 'POST', `${at}/validatingadmissionpolicies`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: { failurePolicy: 'Fail', ...spec },
  });
  await request(admin, 'POST', `${at}/validatingadmissionpolicybindings`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: {
      policyName: name,
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } },
    },
  });
}

/** The record of a plane `plane-one`. */
function recorded(input: object = {}): ConfigMap {
  return toConfigMap({ planeId: 'plane-one', toolVersion: '0', spec: spec(input), issuers: [], phase: 'available' });
}

/**
 * A cluster that answers in rounds: nobody hears an answer before all questions of the round are answered.
 *
 * @returns `rounds`, how many questions each had
 */
function inRounds(cluster: InfraCluster): { slowed: InfraCluster; rounds: number[] } {
  const rounds: number[] = [];
  let open = 0;
  let answered: (() => void)[] = [];
  const slowed = new Proxy(cluster, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...rest: unknown[]) => {
        open++;
        try {
          return await value.apply(target, rest);
        } finally {
          await new Promise<void>((next) => {
            answered.push(next);
            if (answered.length < open) return;
            rounds.push(open);
            const round = answered;
            [open, answered] = [0, []];
            for (const each of round) each();
          });
        }
      };
    },
  });
  return { slowed, rounds };
}

/** What policy engines do in many clusters, in the API server's own language. */
function refuseNodePorts(delegate: Delegate): Promise<void> {
  return policed(delegate, {
    matchConstraints: { resourceRules: [rule('', 'services')] },
    validations: [{ expression: "object.spec.type != 'NodePort'", message: 'no node ports here' }],
  });
}

describe('with the rights of the README', () => {
  test('an empty namespace passes every check', async () => {
    const results = await assess((await newNamespace()).cluster, spec());
    expect(results.filter(({ outcome: { state } }) => state === 'failed')).toEqual([]);
    expect(results.map(({ name }) => name)).toEqual(
      preflightChecks
        .map(({ name }) => name)
        .filter(
          (name) =>
            !['version', 'pull-secret', 'seal', 'issuers', 'exposure-served', 'gateway'].includes(name) &&
            !name.startsWith('worker-pod'),
        ),
    );
  });

  test('many questions are asked at once, a few rounds one after the other', async () => {
    const { cluster } = await newNamespace();
    const { slowed, rounds } = inRounds(cluster);
    await assess(slowed, spec());
    const [asked, inAll] = [rounds.length, rounds.reduce((sum, round) => sum + round, 0)];
    expect(inAll, rounds.join(', ')).toBeGreaterThan(25);
    expect(asked, rounds.join(', ')).toBeLessThanOrEqual(5);
  });

  test('nothing is stored by it', async () => {
    const { cluster } = await newNamespace();
    await assess(cluster, spec());
    for (const [apiVersion, kind] of [
      ['v1', 'ConfigMap'],
      ['v1', 'Pod'],
      ['v1', 'Service'],
      ['networking.k8s.io/v1', 'Ingress'],
    ] as const)
      expect((await cluster.list({ apiVersion, kind })).items.map(({ metadata }) => metadata.name)).toEqual([]);
  });

  test('and so does one that enforces the restricted pod security level', async () => {
    const delegate = await newNamespace({ labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } });
    expect((await outcome(delegate, 'pods')).failed).toEqual([]);
  });
});

describe('worker pods', () => {
  const wanted = { workerPods: 2, workerImage: 'worker:1' };

  test.each(['baseline', 'restricted'])(
    'the level %s refuses them, and the label that is missing is named',
    async (level) => {
      const delegate = await newNamespace({ labels: { 'pod-security.kubernetes.io/enforce': level } });
      const { failed, text } = await outcome(delegate, 'worker-pods', wanted);
      expect(failed).toEqual(['worker-pods']);
      expect(text).toContain(`namespace ${delegate.cluster.namespace} pod-security.kubernetes.io/enforce=privileged`);
    },
  );

  test('a namespace of the level privileged admits them', async () => {
    const delegate = await newNamespace({ labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } });
    expect(await outcome(delegate, 'worker-pods', wanted)).toMatchObject({ state: 'ok', failed: [] });
  });

  test('networks that meet the services of the infra cluster are refused', async () => {
    const delegate = await newNamespace();
    const serviceCidr = '10.96.0.0/16';
    const { failed, text } = await outcome(delegate, 'worker-pod-networks', { ...wanted, serviceCidr });
    expect(failed).toEqual(['worker-pod-networks']);
    expect(text).toContain(serviceCidr);
  });
});

describe('rights', () => {
  const verbs = rightsFor(spec()).flatMap(({ group, resource, verbs }) =>
    verbs.map((verb) => ({ group, resource, verb })),
  );
  test.each(verbs)('missing $verb on $resource is named', async ({ group, resource, verb }) => {
    const delegate = await newNamespace({
      without: (rule) =>
        rule.apiGroups.includes(group) && rule.resources.includes(resource)
          ? {
              ...rule,
              verbs: rule.resources.length === 1 ? rule.verbs.filter((each) => each !== verb) : rule.verbs,
              resources: rule.resources,
            }
          : rule,
    });
    // A rule for several resources is narrowed to the others, and this one granted again without the verb.
    const role = (await delegate.admin.get<
      KubeObject & { rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] }
    >({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role' }, 'k8sk8s'))!;
    role.rules = role.rules.flatMap((rule) => {
      if (!rule.apiGroups.includes(group) || !rule.resources.includes(resource)) return [rule];
      const others = { ...rule, resources: rule.resources.filter((each) => each !== resource) };
      const narrowed = { ...rule, resources: [resource], verbs: rule.verbs.filter((each) => each !== verb) };
      return [others, narrowed].filter((each) => each.resources.length > 0 && each.verbs.length > 0);
    });
    await delegate.admin.replace(role);
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

test('P2: a host at which an API server of another cluster answers is taken; silence and other servers do not take it', async () => {
  const { cluster } = await newNamespace();
  const at = (port: number) =>
    otherApiServer({
      cluster,
      spec: spec({ port }),
      existing: () => Existing.read(cluster),
      record: async () => undefined,
    });
  // Its certificate is for localhost alone, so that it is known by its answer.
  expect(await at(Number(new URL(inject('api').server).port))).toContain('/version');
  const authority = await createAuthority('another cluster');
  const serving = async (dnsNames: string[]) => {
    const { certificate: cert, key } = await issueLeaf(authority, {
      commonName: 'x',
      dnsNames,
      usages: ['serverAuth'],
    });
    const server = createHttpsServer({ cert, key }, (_, response) => response.end('welcome')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  };
  expect(await at(await serving(['kubernetes.default.svc']))).toContain('another cluster');
  expect(await at(await serving(['www.example.com']))).toBeUndefined();
  expect(await at(1)).toBeUndefined();
});

describe('namespaces', () => {
  test('one that is not there', async () => {
    const cluster = connectByFile(adminKubeconfig, 'nowhere');
    const results = await assess(cluster, spec());
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
      const results = await assess(connectByFile(mine.kubeconfig, name), spec());
      const failed = results.filter(({ outcome: { state } }) => state === 'failed');
      expect(failed.map(({ name }) => name)).toEqual(['namespace']);
      expect(JSON.stringify(failed[0]!.outcome)).toContain(`\\"${name}\\"`);
    }
  });
  test("the infra cluster's own", async () => {
    const cluster = connectByFile(adminKubeconfig, 'kube-system');
    const result = (await assess(cluster, spec())).find(({ name }) => name === 'namespace')!;
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
    const [first, ...others] = await assess(connectByFile(kubeconfig, delegate.name), spec());
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
    const [first, ...others] = await assess(connectByFile(kubeconfig, delegate.name), spec());
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

describe('what the namespace allows', () => {
  const quota = (hard: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small' },
    spec: { hard },
  });
  async function withQuota(
    hard: Record<string, string>,
    { used = {}, scopes, delegate }: { used?: Record<string, string>; scopes?: string[]; delegate?: Delegate } = {},
  ): Promise<Delegate> {
    const home = delegate ?? (await newNamespace());
    const at = `/api/v1/namespaces/${home.name}/resourcequotas`;
    const made = quota(hard);
    const stored = (await request(home.admin, 'POST', at, { ...made, spec: { hard, scopes } })) as object;
    // What the quota controller would do.
    await request(home.admin, 'PUT', `${at}/small/status`, {
      ...stored,
      status: { hard, used: { ...Object.fromEntries(Object.keys(hard).map((key) => [key, '0'])), ...used } },
    });
    return home;
  }
  async function withLimitRange(limit: object): Promise<Delegate> {
    const delegate = await newNamespace();
    await request(delegate.admin, 'POST', `/api/v1/namespaces/${delegate.name}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'bounds' },
      spec: { limits: [{ type: 'Container', ...limit }] },
    });
    return delegate;
  }

  test('a quota that is too small for one pod is told once, with the sum', async () => {
    const { text, failed } = await outcome(await withQuota({ 'requests.memory': '100Mi' }), 'quota');
    expect(text).toMatch(/100Mi of requests\.memory.* 500Mi/);
    expect(failed).toEqual(['quota']);
  });
  test('quotas that are just large enough, however they are written', async () => {
    const enough: Record<string, string>[] = [
      { 'requests.cpu': '100m' },
      { pods: '0.004k' },
      { 'requests.memory': '1Pi', pods: '1e3' },
    ];
    for (const hard of enough)
      expect((await outcome(await withQuota(hard), 'quota')).failed, JSON.stringify(hard)).toEqual([]);
  });
  test('a quota that counts only pods which end, such as builds', async () => {
    expect((await outcome(await withQuota({ pods: '1' }, { scopes: ['Terminating'] }), 'quota')).failed).toEqual([]);
  });
  test('a quota that wants limits', async () => {
    const delegate = await withQuota({ 'limits.memory': '8Gi' });
    const { text, failed } = await outcome(delegate, 'pods');
    expect(text).toContain('--resources limits');
    expect(text).toMatch(/etcd.*kube-apiserver.*kube-controller-manager.*kube-scheduler/);
    expect(text).toContain('failed quota: small: must specify limits.memory');
    expect(failed).toEqual(['pods']);
    expect((await outcome(delegate, 'pods', { resources: ['limits'] })).failed).toEqual([]);
  });
  test('L9: a quota that the plane itself has used up does not stop the next deploy', async () => {
    const delegate = await newNamespace();
    const owned = { ...ours, 'app.kubernetes.io/instance': 'plane-one' };
    await delegate.cluster.create(recorded());
    for (const name of secretNames)
      await delegate.cluster.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name, labels: owned } });
    for (const name of secretsByContent)
      await delegate.cluster.create({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `${name}-0123456789`, labels: { ...owned, [startFilesOf]: name } },
      });
    const full = { configmaps: '1', secrets: String(secretNames.length + secretsByContent.length) };
    await withQuota(full, { used: full, delegate });
    expect((await outcome(delegate, 'quota')).failed).toEqual([]);
  });
  test('the pods of the plane are not counted twice, and those that are missing are', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(recorded());
    for (const component of ['etcd', 'kube-apiserver'])
      await delegate.admin.create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: component,
          labels: { ...ours, 'app.kubernetes.io/instance': 'plane-one', 'app.kubernetes.io/name': component },
        },
        spec: { containers: [{ name: component, image: 'registry.invalid/none' }] },
      } as KubeObject);
    await withQuota({ pods: '3' }, { used: { pods: '2' }, delegate });
    expect((await outcome(delegate, 'quota')).text).toMatch(/\b1 of pods.* 2\b/);
  });
  test('what a LimitRange adds to the pods counts against the quota', async () => {
    const delegate = await withLimitRange({ default: { memory: '1Gi' }, defaultRequest: { memory: '1Gi' } });
    await withQuota({ 'requests.memory': '2Gi' }, { delegate });
    expect((await outcome(delegate, 'quota', { resources: ['none'] })).text).toContain('5120Mi');
  });
  test('no services, or no node ports: told as a matter of the quota', async () => {
    for (const hard of [{ services: '1' }, { 'services.nodeports': '0' }] as Record<string, string>[]) {
      const { text, failed } = await outcome(await withQuota(hard), 'quota', { nodePort: 30555 });
      expect(failed).toEqual(['quota']);
      expect(text).not.toContain('--resources');
    }
  });
  test('a policy that forbids node ports', async () => {
    const delegate = await newNamespace();
    await refuseNodePorts(delegate);
    await expect
      .poll(async () => (await outcome(delegate, 'services')).text, { timeout: 20_000 })
      .toContain('no node ports here');
    expect((await outcome(delegate, 'services')).failed).toEqual(['services']);
  });
  test.each([
    [{ priorityClassName: 'nowhere' }, '--priority-class-name'],
    [{ runtimeClassName: 'nowhere' }, '--runtime-class-name'],
  ])('a class that is not there is named by its option: %j', async (input, option) => {
    const { text, failed } = await outcome(await newNamespace(), 'pods', input);
    expect(text).toContain(option);
    expect(text).toContain('nowhere');
    expect(failed).toEqual(['pods']);
  });
  test('a user that is left to a platform which gives none stays an open question', async () => {
    const { state, text } = await outcome(await newNamespace(), 'pods', { runAsUser: 'platform' });
    expect(state).toBe('unknown');
    expect(text).toContain('--run-as-user');
  });
  test('a policy that wants a label of every pod is told with the option that gives it', async () => {
    const delegate = await newNamespace();
    await policed(delegate, {
      matchConstraints: { resourceRules: [rule('', 'pods')] },
      validations: [
        { expression: "'team' in object.metadata.?labels.orValue({})", message: 'pods need the label team' },
      ],
    });
    await expect
      .poll(async () => (await outcome(delegate, 'pods')).failed, { timeout: 20_000, interval: 300 })
      .toEqual(['pods']);
    expect((await outcome(delegate, 'pods')).text).toContain('--pod-label');
    expect((await outcome(delegate, 'pods', { podLabels: { team: 'a' } })).failed).toEqual([]);
  });
  test('no node ports at all: the way without them is named, and it passes', async () => {
    const delegate = await withQuota({ 'services.nodeports': '0' });
    expect((await outcome(delegate, 'quota')).text).toContain('--no-allocate-node-ports');
    const without = { allocateNodePorts: false, inCluster: 'loadbalancer' };
    expect((await outcome(delegate, 'quota', without)).failed).toEqual([]);
    const relay = { allocateNodePorts: false, inCluster: 'loopback', workerEndpoint: 'https://10.9.9.9:443' };
    expect((await outcome(delegate, 'quota', relay)).failed).toEqual([]);
    const other = await newNamespace();
    await refuseNodePorts(other);
    await expect
      .poll(async () => (await outcome(other, 'services')).text, { timeout: 20_000 })
      .toContain('--no-allocate-node-ports');
    expect((await outcome(other, 'services', relay)).failed).toEqual([]);
  });
  const denied = (podSelector: object, policyTypes: string[]) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'default-deny' },
    spec: { podSelector, policyTypes },
  });
  test.each([
    [{}, ['Ingress', 'Egress'], ['egress-denied']],
    [{ matchExpressions: [{ key: 'open', operator: 'DoesNotExist' }] }, ['Egress'], ['egress-denied']],
    [{ matchLabels: { 'app.kubernetes.io/name': 'etcd' } }, ['Egress'], ['egress-denied']],
    [{ matchLabels: { app: 'web' } }, ['Egress'], []],
    [{}, ['Ingress'], []],
  ])('P4: a policy for %j that rules %j: %j', async (podSelector, types, failed) => {
    const delegate = await newNamespace();
    await delegate.cluster.create(denied(podSelector, types));
    const found = await outcome(delegate, 'egress-denied');
    expect(found.failed).toEqual(failed);
    if (failed.length > 0) expect(found.text).toContain('--policy-types Ingress,Egress');
    const results = await assess(delegate.cluster, spec({ policyTypes: 'Ingress,Egress' }));
    expect(results.filter(({ outcome: { state } }) => state === 'failed')).toEqual([]);
  });
  test('a plane that runs under such a policy has what it needs', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(denied({}, ['Egress']));
    await delegate.cluster.create(recorded());
    expect((await outcome(delegate, 'egress-denied')).state).toBe('ok');
  });
  test('a quota that is too small for all of them', async () => {
    const { text, failed } = await outcome(await withQuota({ 'requests.memory': '300Mi' }), 'quota');
    expect(text).toContain('300Mi');
    expect(failed).toEqual(['quota']);
  });
  test('a LimitRange that the pods break', async () => {
    const { text, failed } = await outcome(await withLimitRange({ max: { memory: '32Mi' } }), 'pods');
    expect(failed).toEqual(['pods']);
    expect(text).toContain('32Mi');
    expect(text).toContain('describe limitrange');
  });
  test('a node port that is taken', async () => {
    const other = await newNamespace();
    await other.admin.create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'first' },
      spec: { type: 'NodePort', ports: [{ port: 1, nodePort: 30777 }] },
    } as KubeObject);
    const delegate = await newNamespace();
    expect((await outcome(delegate, 'services', { nodePort: 30777 })).text).toContain('node port 30777');
    // A plane that is there and has another port is no reason to keep quiet.
    await delegate.cluster.create(recorded());
    await delegate.cluster.create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'apiserver', labels: { ...ours, 'app.kubernetes.io/instance': 'plane-one' } },
      spec: { type: 'NodePort', ports: [{ name: 'https', port: 443, nodePort: 30778 }] },
    } as KubeObject);
    expect((await outcome(delegate, 'services', { nodePort: 30777 })).text).toContain('node port 30777');
    expect((await outcome(delegate, 'services', { nodePort: 30778 })).text).toContain('30778');
  });
  test('a node port outside the usual range is not called free: a dry run cannot tell', async () => {
    const { state, text } = await outcome(await newNamespace(), 'services', { nodePort: 40000 });
    expect(state).toBe('unknown');
    expect(text).toContain('30000-32767');
  });
  test("the infra cluster's own service range is a warning", async () => {
    const { text, failed } = await outcome(await newNamespace(), 'infra-services', { serviceCidr: '10.96.0.0/16' });
    expect(text).toContain('10.96.0.0/16');
    expect(failed).toEqual([]);
  });
  test('a network that contains the host', async () => {
    expect((await outcome(await newNamespace(), 'networks', { podCidr: '127.0.0.0/16' })).text).toContain('localhost');
  });
  test('a network that contains an infra node or the worker endpoint', async () => {
    const delegate = await newNamespace();
    await delegate.admin.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'other' },
      spec: { containers: [{ name: 'other', image: 'registry.invalid/none' }] },
    } as KubeObject);
    const at = `/api/v1/namespaces/${delegate.name}/pods/other`;
    await request(delegate.admin, 'PUT', `${at}/status`, {
      ...((await request(delegate.admin, 'GET', at)) as object),
      status: { hostIP: '10.2.0.9', hostIPs: [{ ip: '10.2.0.9' }] },
    });
    expect((await outcome(delegate, 'networks')).text).toContain('10.2.0.9');
    const endpoint = { podCidr: '10.8.0.0/16', workerEndpoint: 'https://10.3.0.7:6443' };
    expect((await outcome(delegate, 'networks', endpoint)).text).toContain('--worker-endpoint');
  });
  test('a pull secret that is not there', async () => {
    expect((await outcome(await newNamespace(), 'pull-secret', { imagePullSecret: 'mirror' })).text).toContain(
      'mirror',
    );
  });
  test('a pull secret that kubelets cannot pull with', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mirror' } });
    const { text, failed } = await outcome(delegate, 'pull-secret', { imagePullSecret: 'mirror' });
    expect(failed).toEqual(['pull-secret']);
    expect(text).toContain('kubernetes.io/dockerconfigjson');
  });
});

describe('what is in the way', () => {
  test("somebody's object under one of our names", async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'etcd', labels: { 'app.kubernetes.io/managed-by': 'Helm' } },
    });
    expect((await outcome(delegate, 'names')).text).toContain('Helm');
  });
  test('a ConfigMap k8sk8s that is no record', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s' } });
    expect((await outcome(delegate, 'names')).state).toBe('failed');
  });
  test('an object of another plane', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(recorded());
    await delegate.cluster.create(owned('Secret', 'etcd', 'plane-two'));
    const { text } = await outcome(delegate, 'names');
    expect(text).toContain('plane-two');
  });
  test('a plane whose record is gone is not to be deleted piece by piece', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(owned('Secret', 'k8sk8s-ca', 'plane-one'));
    expect((await outcome(delegate, 'changes')).state).toBe('unknown');
    const { text } = await outcome(delegate, 'names');
    expect(text).toContain('k8sk8s destroy');
    expect(text).not.toContain('rename');
  });
  test('a plane whose record is damaged', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create({ ...recorded(), data: { 'plane.json': '{"half' } } as KubeObject);
    expect(await outcome(delegate, 'names')).toMatchObject({
      state: 'failed',
      text: expect.stringContaining('k8sk8s'),
    });
  });
  test.each([
    [{ serviceCidr: '10.9.0.0/16' }, /--service-cidr .*10\.3\.0\.0\/16.*10\.9\.0\.0\/16/],
    [{ kubernetesVersion: '1.35.4' }, /1\.37\.2.*1\.35\.4/],
  ])('a plane that cannot become %j', async (input, names) => {
    const delegate = await newNamespace();
    await delegate.cluster.create(recorded());
    const { text } = await outcome(delegate, 'changes', input);
    expect(text).toMatch(names);
    expect(text).toContain('destroy');
  });
  test('a plane that cannot jump over a minor', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(recorded({ kubernetesVersion: '1.35.4' }));
    expect((await outcome(delegate, 'changes')).text).toContain('1.36.3');
  });
  test('a plane that goes up one minor', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(recorded({ kubernetesVersion: '1.36.3' }));
    expect((await outcome(delegate, 'changes')).state).toBe('ok');
  });
  test('a version that no test ran is a warning', async () => {
    const delegate = await newNamespace();
    for (const input of [
      { kubernetesVersion: '1.34.4' },
      { kubernetesVersion: '1.37.0', allowUntestedVersion: true },
    ]) {
      const { state, failed } = await outcome(delegate, 'version', input);
      expect(state).toBe('failed');
      expect(failed).toEqual([]);
    }
  });
  test('an argument that k8sk8s owns, and a host that does not resolve, are told together', async () => {
    expect(
      (await outcome(await newNamespace(), 'host', { host: 'nowhere.invalid', apiServerArgs: ['secure-port=1'] }))
        .failed,
    ).toEqual(['host', 'arguments']);
  });
});
