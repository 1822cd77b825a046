import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newest } from '../../src/config/versions.ts';
import { installOperator, removeDefinition, Team } from './operator-world.ts';
import { k8sk8sAsInfraAdmin, sandboxCommand, succeeded } from './world.ts';

// Upgrades by the object: a version that runs, and one that does not. It runs with `npm run test:all`.

const host = 'upgrade.operator.e2e.test';
const older = '1.36.3';
let team: Team;

describe.runIf(process.env.K8SK8S_TEST === 'all')('upgrades by the object', () => {
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
    await team.until(10, 'Available', { status: 'True' });
    expect(await serverVersion()).toContain(newest.patch);
    expect((await team.object()).status?.observedGeneration).toBe(before?.observedGeneration);
    await team.patch({ kubernetesVersion: newest.patch, allowUntestedVersion: null });
    await team.brought(120);
    await team.until(5, 'Degraded', { status: 'False' });
  });
});
