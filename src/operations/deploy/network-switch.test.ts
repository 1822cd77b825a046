import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { storedCluster } from '../../../test/streams/stored-cluster.ts';
import { parseSpec } from '../../config/parse.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { demandSameNetwork, removeEarlierDrivers, switchesNetwork } from './network-switch.ts';
import type { DeployState } from './state.ts';

const flannel = { network: 'flannel', childAssets: true } as const;
const manifest = (networkManifest: string) => ({ network: 'manifest', networkManifest, childAssets: true }) as const;

test('another driver, and other manifests', () => {
  expect(switchesNetwork(flannel, { network: 'cilium', childAssets: true })).toBe(true);
  expect(switchesNetwork({}, { network: 'none', childAssets: true })).toBe(true);
  expect(switchesNetwork(manifest('a'), manifest('b'))).toBe(true);
});

test('the same driver with other options, and a plane whose network is none of ours', () => {
  expect(switchesNetwork(flannel, flannel)).toBe(false);
  expect(switchesNetwork(manifest('a'), manifest('a'))).toBe(false);
  expect(switchesNetwork(flannel, { network: 'cilium', childAssets: false })).toBe(false);
});

test('after --no-child-assets each driver may be another one, and none brings no driver', () => {
  const leftAlone = { network: 'flannel', childAssets: false } as const;
  expect(switchesNetwork(leftAlone, flannel)).toBe(true);
  expect(switchesNetwork(leftAlone, { network: 'cilium', childAssets: true })).toBe(true);
  expect(switchesNetwork(leftAlone, { network: 'none', childAssets: true })).toBe(false);
  expect(switchesNetwork(leftAlone, leftAlone)).toBe(false);
});

const ours = { 'app.kubernetes.io/part-of': 'k8sk8s' };
const agent = (labels: Record<string, string>) => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'kube-flannel-ds', namespace: 'kube-system', labels },
});
const specOf = (more: object) => parseSpec({ host: 'k.example.com', ...more }, 'here');
const leftAlone = specOf({ childAssets: false });
const manifests = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: net}';

async function withNode() {
  const { hosted } = storedCluster();
  await hosted.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } });
  return hosted;
}

test('workers are in the way of a driver after --no-child-assets, unless it is the one that k8sk8s had put there', async () => {
  const hosted = await withNode();
  const asked = () => demandSameNetwork(hosted, leftAlone, specOf({ network: 'flannel' }));
  const refusal = refused('network-switch', 'worker-1', '--no-child-assets', '--network none', 'kubectl drain');
  await expect(asked()).rejects.toEqual(refusal);
  await hosted.apply(agent({}));
  await expect(asked()).rejects.toEqual(refusal);
  await hosted.apply(agent(ours));
  await asked();
  const other = specOf({ network: 'manifest', networkManifest: manifests });
  await expect(demandSameNetwork(hosted, leftAlone, other)).rejects.toEqual(refusal);
});

test('a driver that the record names is in the way whatever the cluster has; without workers none is', async () => {
  const hosted = await withNode();
  await hosted.apply(agent(ours));
  const before = specOf({ network: 'none' });
  await expect(demandSameNetwork(hosted, before, specOf({}))).rejects.toEqual(refused('network-switch', 'none'));
  await demandSameNetwork(storedCluster().hosted, leftAlone, specOf({}));
});

test('what --no-child-assets left of an earlier driver goes when another one comes, and what is not of k8sk8s stays', async () => {
  const { store, hosted } = storedCluster();
  await hosted.apply(agent(ours));
  const metadata = { name: 'kube-flannel-cfg', namespace: 'kube-system' };
  await hosted.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
  const held = { signal: new AbortController().signal, reporter: quietReporter };
  const spec = specOf({ network: 'manifest', networkManifest: manifests });
  await removeEarlierDrivers({ hosted, spec, record: { spec: leftAlone }, held } as unknown as DeployState);
  expect(store.list('/apis/apps/v1/namespaces/kube-system/daemonsets')).toEqual([]);
  expect(store.list('/api/v1/namespaces/kube-system/configmaps')).toMatchObject([{ metadata }]);
});
