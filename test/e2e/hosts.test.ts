import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { asInfraAdmin, eventually, kubectl, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// The policies of `preflight --export-policy`, in force in two namespaces: who has the name deploys at it, and nobody else, before the plane is
// there, while it sleeps, and after it. Runs with `npm run test:all`.

const host = 'owned.e2e.test';
const label = { 'k8sk8s.io/hosts-e2e': 'yes' };

interface Binding extends KubeObject {
  spec: { matchResources: { namespaceSelector: { matchLabels?: object } } };
}

describe.runIf(runsAllOf('e2e/hosts'))('a HOST belongs to one namespace', () => {
  let owner: Namespace;
  let stranger: Namespace;
  let policies: Binding[];

  beforeAll(async () => {
    [owner, stranger] = [await Namespace.open('hosts-owner'), await Namespace.open('hosts-stranger')];
    succeeded(await sandboxCommand(['host', host], owner));
    const { stdout } = succeeded(await owner.local('preflight', '--export-policy'));
    policies = loadAll(stdout) as Binding[];
    // The other namespaces of the sandbox have no names of their own.
    for (const { kind, spec } of policies)
      if (kind === 'ValidatingAdmissionPolicyBinding') spec.matchResources.namespaceSelector.matchLabels = label;
    for (const { name } of [owner, stranger])
      succeeded(
        await asInfraAdmin(
          'label',
          'namespace',
          name,
          ...Object.entries(label).map((each) => each.join('=')),
          '--overwrite',
        ),
      );
    succeeded(await asInfraAdmin('annotate', 'namespace', owner.name, `k8sk8s.io/hosts=${host}`, '--overwrite'));
    succeeded(await administer('apply'));
  });

  afterAll(async () => {
    for (const each of [owner, stranger]) await each.k8sk8s('destroy', '--yes');
    await administer('delete', '--ignore-not-found');
    for (const { name } of [owner, stranger]) await asInfraAdmin('label', 'namespace', name, 'k8sk8s.io/hosts-e2e-');
  });

  const administer = async (verb: string, ...options: string[]) => {
    const env = succeeded(await sandboxCommand(['env', '--admin'], owner)).stdout;
    const [, file] = /KUBECONFIG='?([^'\n]+)/.exec(env)!;
    const input = policies.map((object) => JSON.stringify(object)).join('\n---\n');
    return run(kubectl, [`--kubeconfig=${file}`, verb, '-f', '-', ...options], { input });
  };

  test('P2: another namespace is refused by the name of the annotation, before there is a plane', async () => {
    // API servers enforce policies a moment after they were made, and a deploy of that moment is refused half-way.
    const probe = ['create', 'ingress', 'probe', `--rule=${host}/=probe:443`, '--dry-run=server'];
    await eventually(30, async () => expect((await stranger.infra(...probe)).stderr).toContain('k8sk8s.io/hosts'));
    expect(await stranger.k8sk8s('deploy', '-h', host)).toEqual(refused('ingress', host, 'k8sk8s.io/hosts'));
    expect(
      succeeded(
        await stranger.infra(
          'get',
          'configmaps,secrets,services',
          '-l',
          'app.kubernetes.io/part-of=k8sk8s',
          '-o',
          'name',
        ),
      ).stdout,
    ).toBe('');
  });

  test('P2: the owner of the name deploys at it, and the other is refused still, also while the plane sleeps', async () => {
    succeeded(await owner.k8sk8s('deploy', '-h', host, '--profile', 'lite', '--etcd-storage', '1Gi'));
    succeeded(await owner.k8sk8s('diff'));
    expect((await stranger.k8sk8s('deploy', '-h', host)).stderr).toMatch(/host-taken|#ingress/);
    succeeded(await owner.k8sk8s('sleep'));
    expect(await stranger.k8sk8s('deploy', '-h', host)).toEqual(refused('ingress', host, 'k8sk8s.io/hosts'));
    succeeded(await owner.k8sk8s('wake'));
  });
});
