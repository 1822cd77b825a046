import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { operatorNamespace } from '../../src/operator/names.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import {
  installOperator,
  killOperator,
  operatorMetrics,
  operatorPods,
  removeDefinition,
  Team,
} from './operator-world.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, sandboxCommand, succeeded } from './world.ts';

// A whole life of a plane that has an object, by the operator as it is installed, and a delegated administrator who applies the object.
// The tests follow each other; what replaces pods of the plane runs with `npm run test:all`.

const all = runsAllOf('e2e/operator');
const host = 'operator.e2e.test';
let team: Team;

beforeAll(async () => {
  await installOperator();
  team = await Team.open('operator', ['apiServerArgs', 'replicas', 'resources']);
  succeeded(await sandboxCommand(['host', host], team.home));
});

afterAll(async () => {
  await team?.home.infra('delete', 'hcp', 'k8sk8s', '--ignore-not-found');
  await team?.home.k8sk8s('destroy', '--yes');
  await removeDefinition();
});

/** Deletes an object of the plane, and waits until there is another one. */
async function driftHeals(kind: string, name: string): Promise<void> {
  const uid = ['get', kind, name, '-o', 'jsonpath={.metadata.uid}'];
  const before = succeeded(await team.home.infra(...uid)).stdout;
  succeeded(await team.home.infra('delete', kind, name, '--wait=false'));
  await eventually(60, async () => expect(succeeded(await team.home.infra(...uid)).stdout).not.toBe(before));
}

test('its pod is Ready as a user that is not root, with nothing to write to', async () => {
  const rollout = ['-n', operatorNamespace, 'rollout', 'status', 'deployment/k8sk8s-operator', '--timeout=60s'];
  succeeded(await asInfraAdmin(...rollout));
  const [pod] = JSON.parse(succeeded(await operatorPods('get', 'pods', '-o', 'json')).stdout).items;
  expect(pod.spec.securityContext.runAsNonRoot).toBe(true);
  expect(pod.spec.containers[0].securityContext.readOnlyRootFilesystem).toBe(true);
  expect(succeeded(await k8sk8sAsInfraAdmin('operator', 'status')).stdout).toContain(pod.metadata.name);
});

test('a namespace has to be allowed first', async () => {
  await team.apply({ host });
  await team.until(60, 'Degraded', { status: 'True', reason: 'NamespaceNotAllowed' });
  succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', team.home.name));
});

test('then there is a plane, and its owner gets in', async () => {
  succeeded(await team.home.infra('wait', 'hcp/k8sk8s', '--for=condition=Available', '--timeout=120s'));
  await team.login();
  await team.ask('create', 'configmap', 'before', '--from-literal=a=b');
  await team.brought(60);
  const metrics = await operatorMetrics();
  expect(metrics).toContain('k8sk8s_operator_leading 1\n');
  expect(metrics).toContain('k8sk8s_operator_planes{condition="Available",status="True"} 1\n');
});

test.runIf(all)('Argo CD and Flux get in by the Secrets that are printed for them', async () => {
  const printed = async (...args: string[]) => {
    const { stringData } = load(succeeded(await team.home.k8sk8s(...args)).stdout) as {
      stringData: Record<string, string>;
    };
    return (key: string) => stringData[key]!;
  };
  const keep = (file: string, kubeconfig: string) => writeFileSync(path.join(team.home.cwd, file), kubeconfig);
  const argo = await printed('kubeconfig', '--argocd');
  const { tlsClientConfig } = JSON.parse(argo('config')) as { tlsClientConfig: Record<string, string> };
  const decoded = (key: string) => Buffer.from(tlsClientConfig[key]!, 'base64').toString('utf8');
  const client = { certificate: decoded('certData'), key: decoded('keyData') };
  const names = { clusterName: argo('name'), userName: 'argo' };
  keep('argo', buildKubeconfig({ server: argo('server'), certificateAuthority: decoded('caData'), client, ...names }));
  succeeded(await team.home.hosted(['--kubeconfig=argo', 'get', 'configmap', 'before']));
  const few = ['--cluster-role', 'view', '--in-namespace', 'default', '--ttl', '1h'];
  keep('flux', (await printed('user', 'create', 'flux', ...few, '--flux'))('value'));
  // Its rights count a moment after they were given.
  await eventually(20, async () =>
    succeeded(await team.home.hosted(['--kubeconfig=flux', 'get', 'configmap', 'before'])),
  );
  expect((await team.home.hosted(['--kubeconfig=flux', 'delete', 'configmap', 'before'])).stderr).toContain(
    'Forbidden',
  );
});

test('a change of the spec is tried and made, and a bad one is not', async () => {
  if (all) {
    await team.patch({ apiServerArgs: ['max-requests-inflight=300'] });
    await team.brought(120);
  }
  const generation = ['get', 'deployment', 'kube-apiserver', '-o', 'jsonpath={.metadata.generation}'];
  const before = succeeded(await team.home.infra(...generation)).stdout;
  await team.patch({ apiServerArgs: ['max-requests-inflight=abc'] });
  const refused = await team.until(90, 'Degraded', { status: 'True', reason: 'ChangeRefused' });
  expect(refused.message).toContain('abc');
  await team.until(20, 'Available', { status: 'True' });
  await team.until(20, 'Progressing', { status: 'False', reason: 'ChangeRefused' });
  // What is refused of the spec keeps the operator from no repair.
  await driftHeals('networkpolicy', 'etcd');
  expect(succeeded(await team.home.infra(...generation)).stdout).toBe(before);
  expect((await team.object()).status?.observedGeneration).toBeLessThan((await team.object()).metadata.generation!);
  await team.patch({ apiServerArgs: all ? ['max-requests-inflight=300'] : null });
  // A look at the plane with the refused change may be under way.
  await team.brought(120);
  await team.until(20, 'Degraded', { status: 'False' });
});

test('what others change or delete is put back, Secrets too', async () => {
  const { home } = team;
  await driftHeals('networkpolicy', 'etcd');
  await driftHeals('secret', 'admin-kubeconfig');
  // A new Service has a new address, so the API server and etcd are told of it: half a minute.
  if (all) await driftHeals('service', 'etcd0');
  succeeded(await home.infra('label', 'deployment', 'kube-scheduler', 'app.kubernetes.io/version-'));
  succeeded(await home.infra('patch', 'deployment', 'kube-scheduler', '-p', '{"spec":{"replicas":3}}'));
  await eventually(90, async () => {
    const found = ['get', 'deployment', 'kube-scheduler', '-o', 'jsonpath={.spec.replicas}'];
    expect(succeeded(await home.infra(...found)).stdout).toBe('1');
  });
  await team.brought(120);
  expect(await team.ask('get', 'configmap', 'before', '-o', 'jsonpath={.data.a}')).toBe('b');
});

test.runIf(all)('it is scaled by /scale', async () => {
  succeeded(await team.home.infra('scale', 'hcp/k8sk8s', '--replicas=2'));
  await team.brought(120);
  const ready = ['get', 'deployment', 'kube-apiserver', '-o', 'jsonpath={.status.readyReplicas}'];
  expect(succeeded(await team.home.infra(...ready)).stdout).toBe('2');
  succeeded(await team.home.infra('scale', 'hcp/k8sk8s', '--replicas=1'));
  await team.brought(120);
});

test.runIf(all)('what deploy asks --yes for waits for a consent, which holds once', async () => {
  succeeded(await sandboxCommand(['host', 'moved.operator.e2e.test'], team.home));
  await team.patch({ host: 'moved.operator.e2e.test' });
  const asked = await team.until(30, 'Progressing', { status: 'False', reason: 'AddressMoves' });
  await team.until(20, 'Degraded', { status: 'False' });
  await team.until(20, 'Available', { status: 'True' });
  const value = await team.consent(asked);
  await team.brought(120);
  expect((await team.object()).status?.usedConsent).toBe(value);
  const address = succeeded(await team.home.infra('get', 'ingress', '-o', 'jsonpath={..host}')).stdout;
  expect(address).toContain('moved.operator.e2e.test');
});

test.runIf(all)(
  'a change that does not work is taken back and not tried again, and what drifts meanwhile is put back',
  async () => {
    await team.patch({ resources: ['kube-scheduler=cpu=64'] });
    await team.consent(await team.until(60, 'Progressing', { status: 'False', reason: 'NoRoomForTrial' }));
    await team.until(120, 'Degraded', { status: 'True', reason: 'ChangeUndone' });
    await eventually(30, async () => {
      const { metadata, status } = await team.object();
      expect(status?.undoneGeneration).toBe(metadata.generation);
    });
    await driftHeals('networkpolicy', 'etcd');
    await team.until(30, 'Available', { status: 'True' });
    await team.until(20, 'Degraded', { status: 'True', reason: 'ChangeUndone' });
    const requests = ['get', 'deployment', 'kube-scheduler', '-o', 'jsonpath={..requests.cpu}'];
    expect(succeeded(await team.home.infra(...requests)).stdout).not.toContain('64');
    await team.patch({ resources: null });
    await team.brought(90);
    await team.until(20, 'Degraded', { status: 'False' });
  },
);

test.runIf(all)('it sleeps and wakes, and what else is wanted of it waits as long as it sleeps', async () => {
  await team.patch({ asleep: true });
  await team.until(90, 'Progressing', { status: 'False', reason: 'Asleep' });
  await team.until(20, 'Available', { status: 'False', reason: 'Asleep' });
  expect(succeeded(await team.pods('-o', 'name')).stdout).toBe('');
  const { observedGeneration } = (await team.object()).status!;
  await team.patch({ apiServerArgs: ['max-requests-inflight=200'] });
  await team.until(30, 'Progressing', { status: 'False', reason: 'ChangesWhenAwake' });
  expect((await team.object()).status?.observedGeneration).toBe(observedGeneration);
  await team.patch({ asleep: false });
  await team.brought(180);
  await team.until(20, 'Available', { status: 'True' });
  await team.login();
  expect(await team.ask('get', 'configmap', 'before', '-o', 'jsonpath={.data.a}')).toBe('b');
  const args = ['get', 'deployment', 'kube-apiserver', '-o', 'jsonpath={.spec.template.spec.containers[*].args}'];
  expect(succeeded(await team.home.infra(...args)).stdout).toContain('max-requests-inflight=200');
});

test.runIf(all)(
  'with Retain the plane stays when its object goes, and a new object takes it on once it is adopted',
  async () => {
    const { host: now } = (await team.object()).spec;
    await team.patch({ deletionPolicy: 'Retain' });
    await team.brought(60);
    const owners = ['get', 'statefulset,secrets,pvc', '-o', 'jsonpath={..ownerReferences[*].kind}'];
    expect(succeeded(await team.home.infra(...owners)).stdout).not.toContain('HostedControlPlane');
    const { planeId } = (await team.object()).status!;
    succeeded(await team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=true'));
    await team.login();
    await team.ask('get', '--raw', '/readyz');
    await team.apply({ host: now });
    await team.until(20, 'Degraded', { status: 'True', reason: 'NotAdopted' });
    succeeded(await team.home.k8sk8s('adopt', '--yes'));
    await team.brought(60);
    expect((await team.object()).status?.planeId).toBe(planeId);
    // The command line leaves it to the object from then on.
    expect(await team.home.k8sk8s('deploy', '-h', now!)).toEqual(refused('plane-follows-object', 'release'));
    // A plane that was released goes on running when its object is deleted, and is adopted by an object that it makes itself.
    succeeded(await team.home.k8sk8s('release'));
    const podsBefore = succeeded(await team.pods('-o', 'name')).stdout;
    succeeded(await team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=true'));
    await sleep(3000);
    expect(succeeded(await team.pods('-o', 'name')).stdout).toBe(podsBefore);
    succeeded(await team.home.k8sk8s('adopt', '--deletion-policy', 'Delete', '--yes'));
    await team.brought(60);
  },
);

test('deleted with its object, nothing of it is left', async () => {
  succeeded(await team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=true'));
  await team.gone(60);
});

test.runIf(all)('an operator that is killed during a deploy goes on with it', async () => {
  await team.apply({ host });
  await eventually(30, async () =>
    expect(succeeded(await team.home.infra('get', 'statefulsets', '-o', 'name')).stdout).toContain('etcd'),
  );
  const restarts = async () => {
    const count = ['get', 'pods', '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'];
    return Number(succeeded(await operatorPods(...count)).stdout);
  };
  const before = await restarts();
  expect(killOperator()).toBe(1);
  succeeded(await team.home.infra('wait', 'hcp/k8sk8s', '--for=condition=Available', '--timeout=150s'));
  await team.brought(60);
  await eventually(30, async () => expect(await restarts()).toBe(before + 1));
});

test.runIf(all)(
  'without the operator the plane stays, also when the object goes, and the command line takes it',
  async () => {
    succeeded(await k8sk8sAsInfraAdmin('operator', 'uninstall'));
    succeeded(await asInfraAdmin('get', 'crd', 'hostedcontrolplanes.k8sk8s.io'));
    const status = await k8sk8sAsInfraAdmin('operator', 'status');
    expect(status.code).toBe(1);
    expect(status.stdout).toContain(host);
    await team.login();
    await team.ask('get', '--raw', '/readyz');
    succeeded(await team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=true'));
    succeeded(await team.home.k8sk8s('status'));
    succeeded(await team.home.k8sk8s('destroy', '--yes'));
    await team.gone(60);
  },
);
