import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { loadAll } from 'js-yaml';
import { afterEach, expect, test, vi } from 'vitest';
import type { KubeObject } from '../kube/objects.ts';
import { WholeCluster } from '../kube/whole-cluster.ts';
import { hostsAnnotation } from '../plane/names.ts';
import { configure } from './operator.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

async function run(...args: string[]): Promise<KubeObject[]> {
  const command = new Command();
  configure(command);
  const out: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  await command.parseAsync(['node', 'operator', ...args]);
  vi.mocked(process.stdout.write).mockRestore();
  return loadAll(out.join('')) as KubeObject[];
}

const infra = `apiVersion: v1
kind: Config
clusters: [{name: infra, cluster: {server: "https://infra.test"}}]
users: [{name: admin, user: {token: none}}]
contexts: [{name: infra, context: {cluster: infra, user: admin}}]
current-context: infra
`;

/** What the same command sends to an infra cluster that has nothing yet, as it goes over the wire. */
async function applied(...args: string[]): Promise<KubeObject[]> {
  const sent: KubeObject[] = [];
  const kubeconfig = path.join(mkdtempSync(path.join(tmpdir(), 'k8sk8s-')), 'kubeconfig');
  writeFileSync(kubeconfig, infra);
  vi.spyOn(WholeCluster.prototype, 'get').mockResolvedValue(undefined);
  vi.spyOn(WholeCluster.prototype, 'apply').mockImplementation(async (object) => {
    sent.push(JSON.parse(JSON.stringify(object)) as KubeObject);
    return object;
  });
  await run(...args, '--quiet', '--kubeconfig', kubeconfig);
  return sent;
}

test.each([
  ['install', '--image', 'registry.test/k8sk8s:0.1.0', '-n', 'elsewhere'],
  ['install'],
  ['allow', '-n', 'team'],
])('%s %s --export prints the objects that are applied without it', async (...args) => {
  const printed = await run(...args, '--export');
  expect(printed.length).toBeGreaterThan(2);
  expect(printed).toEqual(await applied(...args));
});

test('allow --export has the namespace with its HOSTs before what is in it', async () => {
  const hosts = ['*.team.example.com', 'k.example.com'];
  const [first, ...others] = await run('allow', '-n', 'team', '--host', hosts[0]!, '--host', hosts[1]!, '--export');
  expect(first).toMatchObject({
    kind: 'Namespace',
    metadata: { name: 'team', annotations: { [hostsAnnotation]: hosts.join(',') } },
  });
  expect(others).toEqual(await run('allow', '-n', 'team', '--export'));
});
