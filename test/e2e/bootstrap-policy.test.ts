import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Namespace, sandboxCommand, succeeded } from './world.ts';

// The default roles that the first plane of a version leaves on the box, for the next to begin with.

const cache = mkdtempSync(path.join(tmpdir(), 'k8sk8s-policy-'));
let first: Namespace;
let next: Namespace;

beforeAll(async () => {
  [first, next] = [await Namespace.open('policy-first'), await Namespace.open('policy-next')];
  for (const plane of [first, next]) {
    Object.assign(plane.env, { K8SK8S_CACHE: cache });
    succeeded(await sandboxCommand(['host', `${plane.name}.e2e.test`], plane));
  }
});

afterAll(async () => {
  for (const plane of [first, next]) await plane.k8sk8s('destroy', '--yes');
  rmSync(cache, { recursive: true });
});

interface Role {
  kind: string;
  metadata: { name: string; namespace?: string; uid: string; labels?: object; annotations?: object };
  aggregationRule?: object;
  rules?: object;
  subjects?: object;
  roleRef?: object;
}

/** By kind and name; rules that a controller collects from others are left out. */
async function roles(plane: Namespace): Promise<{ uids: string[]; contents: Record<string, object> }> {
  const selector = ['-l', 'kubernetes.io/bootstrapping=rbac-defaults', '-A', '-o', 'json'];
  const text = await plane.ask('get', 'clusterroles,clusterrolebindings,roles,rolebindings', ...selector);
  const { items } = JSON.parse(text) as { items: Role[] };
  const content = ({ metadata: { labels, annotations }, aggregationRule, rules, subjects, roleRef }: Role) => ({
    ...{ labels, annotations, aggregationRule, subjects, roleRef },
    ...(!aggregationRule && { rules }),
  });
  return {
    uids: items.map(({ metadata }) => metadata.uid),
    contents: Object.fromEntries(
      items.map((item) => [`${item.kind} ${item.metadata.namespace ?? ''}/${item.metadata.name}`, content(item)]),
    ),
  };
}

test('a second plane begins with the same default roles, which are its own', async () => {
  const deploy = (plane: Namespace) =>
    plane.k8sk8s('deploy', '-h', `${plane.name}.e2e.test`, '--etcd-storage', 'ephemeral', '--verbose');
  expect(succeeded(await deploy(first)).stderr).toMatch(/bootstrap policy of \S+ kept: \d+ objects/);
  expect(succeeded(await deploy(next)).stderr).toMatch(/bootstrap policy of \S+ written to etcd/);
  const [made, planted] = [await roles(first), await roles(next)];
  expect(made.uids.length).toBeGreaterThan(100);
  expect(planted.contents).toEqual(made.contents);
  expect(planted.uids.filter((uid) => made.uids.includes(uid))).toEqual([]);
  expect(succeeded(await next.k8sk8s('status')).stdout).toContain('healthy');
});
