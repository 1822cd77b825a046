import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { secretNames, secretsByContent } from '../../src/plane/secrets.ts';
import { startFilesOf } from '../../src/plane/start-files.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { soon, until } from '../until.ts';
import { ours, outcome, recorded, spec } from './preflight-world.ts';
import { type Delegate, newNamespace, nodePorts, request } from './world.ts';

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

/** What policy engines do in many clusters, in the API server's own language. */
function refuseNodePorts(delegate: Delegate): Promise<void> {
  return policed(delegate, {
    matchConstraints: { resourceRules: [rule('', 'services')] },
    validations: [{ expression: "object.spec.type != 'NodePort'", message: 'no node ports here' }],
  });
}

describe('what the namespace allows', () => {
  const quota = (hard: Record<string, string>, scopes?: string[]) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small' },
    spec: { hard, scopes },
  });
  async function withQuota(
    hard: Record<string, string>,
    { used = {}, scopes, delegate }: { used?: Record<string, string>; scopes?: string[]; delegate?: Delegate } = {},
  ): Promise<Delegate> {
    const home = delegate ?? (await newNamespace());
    const at = `/api/v1/namespaces/${home.name}/resourcequotas`;
    // One that counts pods of a scope may have nothing else.
    const all = scopes ? hard : { ...hard, ...noTemplates };
    const stored = (await request(home.admin, 'POST', at, quota(all, scopes))) as object;
    // What the quota controller would do.
    await request(home.admin, 'PUT', `${at}/small/status`, {
      ...stored,
      status: { hard: all, used: { ...Object.fromEntries(Object.keys(all).map((key) => [key, '0'])), ...used } },
    });
    if (!scopes) await until(() => isFull(home));
    return home;
  }
  /** Nobody makes PodTemplates, so they tell when a quota and its status count, which is a moment after they were written. */
  const noTemplates = { 'count/podtemplates': '0' };
  const isFull = ({ name, admin }: Delegate) =>
    admin.transport
      .request({
        method: 'POST',
        path: `/api/v1/namespaces/${name}/podtemplates`,
        query: { dryRun: 'All' },
        body: { metadata: { name: 'probe' }, template: { spec: { containers: [{ name: 'a', image: 'a' }] } } },
      })
      .then(
        () => false,
        (error: Error) => error.message.includes('exceeded quota'),
      );
  async function withLimitRange(limit: object): Promise<Delegate> {
    const delegate = await newNamespace();
    await request(delegate.admin, 'POST', `/api/v1/namespaces/${delegate.name}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'bounds' },
      spec: { limits: [{ type: 'Container', ...limit }] },
    });
    // A LimitRange counts a moment after it was made.
    await until(() => setsLimits(delegate));
    return delegate;
  }

  const setsLimits = async ({ cluster }: Delegate) => {
    const spec = { containers: [{ name: 'a', image: 'a' }] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe' }, spec };
    const made = await cluster.create<KubeObject>(pod, { dryRun: true });
    return made.metadata.annotations?.['kubernetes.io/limit-ranger'];
  };

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
      const { text, failed } = await outcome(await withQuota(hard), 'quota', { nodePort: nodePorts.free });
      expect(failed).toEqual(['quota']);
      expect(text).not.toContain('--resources');
    }
  });
  test('a policy that forbids node ports', async () => {
    const delegate = await newNamespace();
    await refuseNodePorts(delegate);
    await expect.poll(async () => (await outcome(delegate, 'services')).text, soon).toContain('no node ports here');
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
    await expect.poll(async () => (await outcome(delegate, 'pods')).failed, soon).toEqual(['pods']);
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
    await expect.poll(async () => (await outcome(other, 'services')).text, soon).toContain('--no-allocate-node-ports');
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
    const results = await runDeployChecks(delegate.cluster, spec({ policyTypes: 'Ingress,Egress' }));
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
      spec: { type: 'NodePort', ports: [{ port: 1, nodePort: nodePorts.taken }] },
    } as KubeObject);
    const delegate = await newNamespace();
    expect((await outcome(delegate, 'services', { nodePort: nodePorts.taken })).text).toContain(
      `node port ${nodePorts.taken}`,
    );
    // A plane that is there and has another port is no reason to keep quiet.
    await delegate.cluster.create(recorded());
    await delegate.cluster.create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'apiserver', labels: { ...ours, 'app.kubernetes.io/instance': 'plane-one' } },
      spec: { type: 'NodePort', ports: [{ name: 'https', port: 443, nodePort: nodePorts.own }] },
    } as KubeObject);
    expect((await outcome(delegate, 'services', { nodePort: nodePorts.taken })).text).toContain(
      `node port ${nodePorts.taken}`,
    );
    expect((await outcome(delegate, 'services', { nodePort: nodePorts.own })).text).toContain(String(nodePorts.own));
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
