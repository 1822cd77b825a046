import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { Existing } from '../../src/live/apply.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { preflightChecks, runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { otherApiServer } from '../../src/preflight/host-taken.ts';
import { outcome, owned, recorded, spec } from './preflight-world.ts';
import { newNamespace } from './world.ts';

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

describe('with the rights of the README', () => {
  test('an empty namespace passes every check', async () => {
    const results = await runDeployChecks((await newNamespace()).cluster, spec());
    expect(results.filter(({ outcome: { state } }) => state === 'failed')).toEqual([]);
    expect(results.map(({ name }) => name)).toEqual(
      preflightChecks
        .map(({ name }) => name)
        .filter(
          (name) =>
            !(
              name.startsWith('worker-pod') ||
              ['version', 'pull-secret', 'seal', 'issuers', 'infra-issuer', 'log-account'].includes(name) ||
              ['exposure-served', 'gateway', 'network-driver', 'tunnel-host'].includes(name)
            ),
        ),
    );
  });

  test('many questions are asked at once, a few rounds one after the other', async () => {
    const { cluster } = await newNamespace();
    const { slowed, rounds } = inRounds(cluster);
    await runDeployChecks(slowed, spec());
    const [asked, inAll] = [rounds.length, rounds.reduce((sum, round) => sum + round, 0)];
    expect(inAll, rounds.join(', ')).toBeGreaterThan(25);
    expect(asked, rounds.join(', ')).toBeLessThanOrEqual(5);
  });

  test('nothing is stored by it', async () => {
    const { cluster } = await newNamespace();
    await runDeployChecks(cluster, spec());
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
