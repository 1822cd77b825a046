import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { told } from '../../src/ui/words.ts';
import { connectByFile } from '../connect-by-file.ts';
import { fixedPlane } from '../golden/plane.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

// Infra clusters that have IPv6 addresses for services: first, or alone. Each is an API server of its own.

const planes: ControlPlane[] = [];
const clusters: Record<string, InfraCluster> = {};

beforeAll(async () => {
  for (const [name, ranges] of [
    ['first', 'fd00:10:96::/112,10.97.0.0/16'],
    ['alone', 'fd00:10:98::/112'],
  ] as const) {
    const plane = await startControlPlane([], () => [`--service-cluster-ip-range=${ranges}`]);
    planes.push(plane);
    clusters[name] = connectByFile(await plane.kubeconfig('admin', ['system:masters']), 'default');
  }
}, 180_000);

afterAll(() => Promise.all(planes.map((plane) => plane.stop())));

async function failed(name: string, input: object = {}): Promise<{ names: string[]; text: string }> {
  const results = await runDeployChecks(clusters[name]!, parseSpec({ host: 'localhost', ...input }, 'test'));
  const found = results.filter(({ severity, outcome }) => severity === 'fatal' && outcome.state === 'failed');
  return { names: found.map((each) => each.name), text: JSON.stringify(told(found.map(({ outcome }) => outcome))) };
}

const usable = { ipFamilies: 'IPv4', inCluster: 'loadbalancer' } as const;

test('with IPv6 first the options are named, and with them every check passes', async () => {
  const { names, text } = await failed('first');
  expect(names).toEqual(['ip-families']);
  expect(text).toContain('--ip-families IPv4');
  expect(text).toContain('--in-cluster loadbalancer');
  expect((await failed('first', { ipFamilies: 'IPv4' })).names).toEqual(['ip-families']);
  expect((await failed('first', usable)).names).toEqual([]);
});

test('with IPv6 first the services get IPv4 addresses when they ask for them', async () => {
  const spec = parseSpec({ host: 'localhost', ...usable }, 'test');
  for (const service of renderPlane(await fixedPlane(spec)).services) {
    const made = await clusters.first!.create<KubeObject>(service, { dryRun: true });
    expect((made as { spec?: { clusterIP?: string } }).spec?.clusterIP).toMatch(/^10\.97\./);
  }
});

test('without any IPv4 addresses there is no plane', async () => {
  expect((await failed('alone')).names).toContain('ip-families');
  const { names, text } = await failed('alone', usable);
  expect(names).toEqual(['services']);
  expect(text).toContain('IPv4');
});
