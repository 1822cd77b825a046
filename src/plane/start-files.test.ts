import { expect, test } from 'vitest';
import { fixedPlane } from '../../test/golden/plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import type { Secret } from '../kube/objects.ts';
import { renderPlane } from './render.ts';
import { isStartFiles, secretsMountedBy, startFilesOf, withStartFiles } from './start-files.ts';

const policy = (level: string) => ({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy' as const, rules: [{ level }] });

async function rendered(input: Partial<ClusterSpecInput> = {}) {
  return renderPlane(await fixedPlane(parseSpec({ host: 'k.example.com', ...input }, 'a test'), 'available'));
}

const named = (secrets: Secret[], of: string) =>
  secrets.find(({ metadata }) => metadata.labels?.[startFilesOf] === of)!.metadata.name;

test('other files have another Secret, and the template of the API server mounts the one with its own', async () => {
  const [before, after] = [await rendered(), await rendered({ auditPolicy: policy('Metadata') })];
  const names = [before, after].map(({ secrets }) => named(secrets, 'kube-apiserver'));
  expect(names[0]).not.toBe(names[1]);
  expect([...secretsMountedBy(before.workloads['kube-apiserver'])]).toContain(names[0]);
  expect([...secretsMountedBy(after.workloads['kube-apiserver'])]).toContain(names[1]);
  expect(named(before.secrets, 'kube-apiserver-egress')).toBe(named(after.secrets, 'kube-apiserver-egress'));
  expect(named((await rendered()).secrets, 'kube-apiserver')).toBe(names[0]);
});

test('certificates are changed in place, and what is named by its content cannot be changed at all', async () => {
  const { secrets } = await rendered();
  for (const secret of secrets.filter(isStartFiles)) {
    expect(secret.immutable).toBe(true);
    expect(Object.keys(secret.data!).filter((file) => file.endsWith('.crt'))).toEqual([]);
  }
  const own = secrets.find(({ metadata }) => metadata.name === 'kube-apiserver')!;
  expect(Object.keys(own.data!)).toContain('apiserver.key');
  expect(Object.keys(own.data!)).not.toContain('service-account.key');
});

test("a workload's files are those that it mounts, also where older ones are still there", async () => {
  const [before, after] = [await rendered(), await rendered({ auditPolicy: policy('Metadata') })];
  const all = [...after.secrets, ...before.secrets.filter(isStartFiles)];
  const policyOf = ({ workloads }: typeof before) =>
    Buffer.from(
      withStartFiles(all, workloads['kube-apiserver']).find(({ metadata }) => metadata.name === 'kube-apiserver')!
        .data!['audit-policy.yaml']!,
      'base64',
    ).toString();
  expect(policyOf(after)).toContain('level: Metadata');
  expect(policyOf(before)).not.toBe(policyOf(after));
});
