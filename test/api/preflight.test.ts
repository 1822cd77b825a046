import { describe, expect, test } from 'vitest';
import { connectInfra } from '../../src/kube/connect.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { requiredRights } from '../../src/preflight/rights.ts';
import { assess, preflightChecks } from '../../src/preflight/run.ts';
import { toConfigMap } from '../../src/record.ts';
import { type ClusterSpec, parseSpec } from '../../src/spec.ts';
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
    text: JSON.stringify(found.outcome),
    failed: results
      .filter((result) => result.severity === 'fatal' && result.outcome.state === 'failed')
      .map((result) => result.name),
  };
}

describe('with the rights of the README', () => {
  test('an empty namespace passes every check', async () => {
    const results = await assess((await newNamespace()).cluster, spec());
    expect(results.filter(({ outcome: { state } }) => state === 'failed')).toEqual([]);
    expect(results.map(({ name }) => name)).toEqual(
      preflightChecks.map(({ name }) => name).filter((name) => name !== 'node-port' && name !== 'pull-secret'),
    );
  });

  test('and so does one that enforces the restricted pod security level', async () => {
    const delegate = await newNamespace({ labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } });
    expect((await outcome(delegate, 'pods')).failed).toEqual([]);
  });
});

describe('rights', () => {
  const verbs = requiredRights.flatMap(({ group, resource, verbs }) =>
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

describe('namespaces', () => {
  test('one that is not there', async () => {
    const cluster = connectInfra({ kubeconfig: adminKubeconfig }, 'nowhere');
    const result = (await assess(cluster, spec())).find(({ name }) => name === 'namespace')!;
    expect(JSON.stringify(result.outcome)).toContain('there is no namespace \\"nowhere\\"');
  });
  test("somebody else's", async () => {
    const [mine, theirs] = [await newNamespace(), await newNamespace()];
    const results = await assess(connectInfra({ kubeconfig: mine.kubeconfig }, theirs.name), spec());
    expect(
      results
        .filter(({ outcome: { state } }) => state === 'failed')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['namespace', 'rights']);
  });
  test('one that is being deleted', async () => {
    const delegate = await newNamespace();
    await request(delegate.admin, 'DELETE', `/api/v1/namespaces/${delegate.name}`);
    expect((await outcome(delegate, 'namespace')).text).toContain('is being deleted');
  });
});

describe('credentials', () => {
  test('an expired certificate', async () => {
    const delegate = await newNamespace();
    const kubeconfig = await kubeconfigOf('late', delegate.name, {
      days: 1,
      now: new Date(Date.now() - 10 * 86_400_000),
    });
    const [first, ...others] = await assess(connectInfra({ kubeconfig }, delegate.name), spec());
    expect(first?.outcome).toMatchObject({
      state: 'failed',
      what: expect.stringContaining('does not accept the credentials'),
    });
    expect(others).toEqual([]);
  });
});

describe('what the namespace allows', () => {
  const quota = (hard: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small' },
    spec: { hard },
  });
  async function withQuota(hard: Record<string, string>): Promise<Delegate> {
    const delegate = await newNamespace();
    const at = `/api/v1/namespaces/${delegate.name}/resourcequotas`;
    const made = (await request(delegate.admin, 'POST', at, quota(hard))) as object;
    // What the quota controller would do.
    await request(delegate.admin, 'PUT', `${at}/small/status`, {
      ...made,
      status: { hard, used: Object.fromEntries(Object.keys(hard).map((key) => [key, '0'])) },
    });
    return delegate;
  }

  test('a quota that is too small for one pod', async () => {
    expect((await outcome(await withQuota({ 'requests.memory': '100Mi' }), 'pods')).text).toMatch(/exceeded quota/);
  });
  test('a quota that is too small for all of them', async () => {
    const { text, failed } = await outcome(await withQuota({ 'requests.memory': '300Mi' }), 'quota');
    expect(text).toContain('leaves 300Mi');
    expect(failed).toEqual(['quota']);
  });
  test('a LimitRange that the pods break', async () => {
    const delegate = await newNamespace();
    await request(delegate.admin, 'POST', `/api/v1/namespaces/${delegate.name}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'tiny' },
      spec: { limits: [{ type: 'Container', max: { memory: '32Mi' } }] },
    });
    expect((await outcome(delegate, 'pods')).state).toBe('failed');
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
    expect((await outcome(delegate, 'node-port', { nodePort: 30777 })).text).toContain('already taken');
  });
  test("the infra cluster's own service range is a warning", async () => {
    const { text, failed } = await outcome(await newNamespace(), 'infra-services', { serviceCidr: '10.96.0.0/16' });
    expect(text).toContain('also the infra cluster');
    expect(failed).toEqual([]);
  });
  test('a network that contains the host', async () => {
    expect((await outcome(await newNamespace(), 'networks', { podCidr: '127.0.0.0/16' })).text).toContain(
      'the address of localhost',
    );
  });
  test('a pull secret that is not there', async () => {
    expect((await outcome(await newNamespace(), 'pull-secret', { imagePullSecret: 'mirror' })).text).toContain(
      'no secret',
    );
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
    expect((await outcome(delegate, 'names')).text).toContain('managed by Helm');
  });
  test('a ConfigMap k8sk8s that is no record', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s' } });
    expect((await outcome(delegate, 'names')).state).toBe('failed');
  });
  test('an object of another plane', async () => {
    const delegate = await newNamespace();
    const record = { planeId: 'plane-one', toolVersion: '0', spec: spec(), issuers: [], phase: 'available' as const };
    await delegate.cluster.create(toConfigMap(record));
    await delegate.cluster.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'etcd',
        labels: { 'app.kubernetes.io/part-of': 'k8sk8s', 'app.kubernetes.io/instance': 'plane-two' },
      },
    });
    expect((await outcome(delegate, 'names')).state).toBe('failed');
  });
  test.each([
    [{ serviceCidr: '10.9.0.0/16' }, 'serviceCidr cannot change from 10.3.0.0/16 to 10.9.0.0/16'],
    [{ kubernetesVersion: '1.35.4' }, 'cannot go back to 1.35.4'],
  ])('a plane that cannot become %j', async (input, words) => {
    const delegate = await newNamespace();
    await delegate.cluster.create(
      toConfigMap({ planeId: 'plane-one', toolVersion: '0', spec: spec(), issuers: [], phase: 'available' }),
    );
    expect((await outcome(delegate, 'changes', input)).text).toContain(words);
  });
  test('a plane that cannot jump over a minor', async () => {
    const delegate = await newNamespace();
    await delegate.cluster.create(
      toConfigMap({
        planeId: 'plane-one',
        toolVersion: '0',
        spec: spec({ kubernetesVersion: '1.35.4' }),
        issuers: [],
        phase: 'available',
      }),
    );
    expect((await outcome(delegate, 'changes')).text).toContain('go to 1.36.3 first');
  });
  test('an argument that k8sk8s owns, and a host that does not resolve, are told together', async () => {
    expect(
      (await outcome(await newNamespace(), 'host', { host: 'nowhere.invalid', apiServerArgs: ['secure-port=1'] }))
        .failed,
    ).toEqual(['host', 'arguments']);
  });
});
