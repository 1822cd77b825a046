import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { newest } from '../../src/config/versions.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { operatorNamespace } from '../../src/operator/names.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { retaggedImage } from '../images.ts';
import { runsAllOf } from '../test-all.ts';
import { installOperator, operatorMetrics, operatorPods, removeDefinition, Team } from './operator-world.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, sandboxCommand, succeeded, written } from './world.ts';

// Upgrades by the object: a version that runs, and one that does not; and another image of the operator itself. It runs with `npm run test:all`.

const host = 'upgrade.operator.e2e.test';
const older = '1.36.3';
let team: Team;

describe.runIf(runsAllOf('e2e/operator-upgrade'))('upgrades by the object', () => {
  beforeAll(async () => {
    await installOperator();
    team = await Team.open('operator-upgrade', ['allowUntestedVersion']);
    succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', team.home.name, '--host', host));
    succeeded(await sandboxCommand(['host', host], team.home));
    await team.apply({ host, profile: 'lite', kubernetesVersion: older });
    succeeded(await team.home.infra('wait', 'hcp/k8sk8s', '--for=condition=Available', '--timeout=150s'));
    await team.brought(60);
  });

  afterAll(async () => {
    await team?.home.infra('delete', 'hcp', 'k8sk8s', '--ignore-not-found');
    await team?.gone(60).catch(() => undefined);
    await removeDefinition();
  });

  const serverVersion = async () =>
    (JSON.parse(await team.ask('version', '-o', 'json')) as { serverVersion: { gitVersion: string } }).serverVersion
      .gitVersion;

  test('another image of the operator takes over, and the plane does not notice', async () => {
    const plane = async () => {
      const { items } = JSON.parse(succeeded(await team.pods('-o', 'json')).stdout) as { items: Pod[] };
      const { generation, uid } = (await team.object()).metadata;
      const restarts = ({ status }: Pod) => status?.containerStatuses?.map(({ restartCount }) => restartCount);
      const pods = items.map((pod) => [pod.metadata.uid, restarts(pod)]);
      return { object: [uid, generation], pods: pods.sort(), written: await written(team.home) };
    };
    const leader = async () =>
      (
        JSON.parse(succeeded(await k8sk8sAsInfraAdmin('operator', 'status', '--output', 'json')).stdout) as {
          leader: string;
        }
      ).leader;
    const [before, first] = [await plane(), await leader()];
    const next = `${imageReferences.k8sk8s()}-next`;
    await retaggedImage(inject('sandbox'), imageReferences.k8sk8s(), next);
    succeeded(await k8sk8sAsInfraAdmin('operator', 'install', '--image', next));
    const deployment = ['-n', operatorNamespace, 'rollout', 'status', 'deployment/k8sk8s-operator', '--timeout=90s'];
    succeeded(await asInfraAdmin(...deployment));
    await eventually(60, async () => expect(await leader()).not.toBe(first));
    // The pod of the old one is listed until it has ended.
    await eventually(60, async () => {
      const images = ['get', 'pods', '-o', 'jsonpath={.items[*].spec.containers[*].image}'];
      expect(succeeded(await operatorPods(...images)).stdout).toBe(next);
    });
    // The new one looks at every plane when it begins, and once more because it is asked to.
    succeeded(await team.home.infra('annotate', '--overwrite', 'hcp/k8sk8s', 'k8sk8s.io/look=next'));
    await eventually(60, async () => {
      const [, looks] = /k8sk8s_operator_looks_total\{[^}]*\} (\d+)/.exec(await operatorMetrics()) ?? [];
      expect(Number(looks)).toBeGreaterThanOrEqual(2);
    });
    await team.brought(60);
    expect(await plane()).toEqual(before);
  });

  test('another version in the spec is an upgrade, and the data stays', async () => {
    await team.login();
    await team.ask('create', 'configmap', 'before', '--from-literal=a=b');
    expect(await serverVersion()).toContain(older);
    await team.patch({ kubernetesVersion: newest.patch });
    await team.brought(240);
    expect((await team.object()).status?.version).toBe(newest.patch);
    expect(await serverVersion()).toContain(newest.patch);
    expect(await team.ask('get', 'configmap', 'before', '-o', 'jsonpath={.data.a}')).toBe('b');
  });

  test('a version whose image does not come is not tried on the plane', async () => {
    const { status: before } = await team.object();
    await team.patch({ kubernetesVersion: '1.37.99', allowUntestedVersion: true });
    await team.until(240, 'Degraded', { status: 'True' });
    await team.until(20, 'Available', { status: 'True' });
    expect(await serverVersion()).toContain(newest.patch);
    expect((await team.object()).status?.observedGeneration).toBe(before?.observedGeneration);
    await team.patch({ kubernetesVersion: newest.patch, allowUntestedVersion: null });
    await team.brought(120);
    await team.until(20, 'Degraded', { status: 'False' });
  });
});
