import { afterAll, beforeAll, expect, test } from 'vitest';
import { Namespace, sandboxCommand, succeeded, written } from './world.ts';

// Hand edits of a plane: shown field by field, and put back by deploy.

let home: Namespace;

beforeAll(async () => {
  home = await Namespace.open('diff');
  succeeded(await sandboxCommand(['host', 'diff.e2e.test'], home));
  succeeded(await home.k8sk8s('deploy', '-h', 'diff.e2e.test'));
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

test('a plane that nobody touched does not differ, and looking changes nothing', async () => {
  const before = await written(home);
  expect(succeeded(await home.k8sk8s('diff')).stdout).toMatch(/^All \d+ objects are as recorded\.\n$/);
  expect(await written(home)).toEqual(before);
});

test('a hand edit of any field that k8sk8s owns is shown, what others own is not, and deploy heals it', async () => {
  const patch = (name: string, type: 'merge' | 'json', body: unknown) =>
    home.infra('patch', 'deployment', name, '--type', type, '-p', JSON.stringify(body));
  succeeded(await patch('kube-scheduler', 'merge', { spec: { replicas: 0 } }));
  const args = '/spec/template/spec/containers/0/args/-';
  succeeded(await patch('kube-controller-manager', 'json', [{ op: 'add', path: args, value: '--v=3' }]));
  succeeded(await home.infra('label', 'deployment', 'kube-controller-manager', 'app.kubernetes.io/instance-'));
  succeeded(await home.infra('patch', 'secret', 'etcd', '-p', '{"data":{"etcd-ca.crt":"eA=="}}'));
  succeeded(await home.infra('delete', 'ingress', 'k8s-on-k8s'));
  succeeded(await home.infra('annotate', 'service', 'apiserver', 'team.example.com/note=ours'));
  const shown = await home.k8sk8s('diff');
  expect(shown.code).toBe(1);
  for (const words of [
    'deployment "kube-scheduler" differs\n  spec.replicas:\n    - 0\n    + 1\n',
    'spec.template.spec.containers[kube-controller-manager].args:\n    - --v=3\n',
    'metadata.labels["app.kubernetes.io/instance"]',
    'secret "etcd" differs\n  data["etcd-ca.crt"]: not what it should be',
    'ingress "k8s-on-k8s" is missing',
  ])
    expect(shown.stdout).toContain(words);
  expect(shown.stdout).not.toContain('team.example.com');
  const json = JSON.parse((await home.k8sk8s('diff', '--output', 'json')).stdout);
  expect(json.differences.find(({ name }: { name: string }) => name === 'kube-scheduler')).toEqual({
    cluster: 'infra',
    kind: 'Deployment',
    name: 'kube-scheduler',
    state: 'changed',
    fields: [{ path: 'spec.replicas', live: 0, recorded: 1 }],
  });

  succeeded(await home.k8sk8s('deploy'));
  succeeded(await home.k8sk8s('diff'));
  const note = await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.metadata.annotations}');
  expect(note.stdout).toContain('ours');
});

test('so are those of the hosted cluster', async () => {
  await home.ask('-n', 'kube-system', 'set', 'image', 'daemonset/kube-proxy', 'kube-proxy=nowhere.invalid/x:1');
  await home.ask('-n', 'kube-system', 'delete', 'service', 'kube-dns');
  const { stdout } = await home.k8sk8s('diff');
  expect(stdout).toContain('hosted cluster: kube-system daemonset "kube-proxy" differs');
  expect(stdout).toContain('    - nowhere.invalid/x:1\n    + registry.k8s.io/kube-proxy:v1.37.2');
  expect(stdout).toContain('hosted cluster: kube-system service "kube-dns" is missing');
  succeeded(await home.k8sk8s('deploy'));
  succeeded(await home.k8sk8s('diff'));
});
