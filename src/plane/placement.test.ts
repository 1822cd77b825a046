import { expect, test } from 'vitest';
import { fixedPlane } from '../../test/golden/plane.ts';
import { specs } from '../../test/golden/specs.ts';
import { parseSpec } from '../config/parse.ts';
import type { KubeObject } from '../kube/objects.ts';
import { byComponent, componentNames } from './components/lookup.ts';
import { type Likeness, likePodsOf, likeTemplate } from './placement.ts';
import { podSecurity } from './pod-security.ts';
import { renderPlane } from './render.ts';

const templateOf = (workload: KubeObject) => (workload as unknown as { spec: { template: Likeness } }).spec.template;

test.each(['default', 'platform', 'options'])('%s: a pod of its own is like those of the components', async (name) => {
  const { workloads } = renderPlane(await fixedPlane(specs[name]!));
  const likes = byComponent((component) => likeTemplate(templateOf(workloads[component.name])));
  for (const component of componentNames) expect(likes[component]).toEqual(likePodsOf(specs[name]!));
});

test('a pod of its own has no label by which the plane is found', async () => {
  const { workloads } = renderPlane(await fixedPlane(specs.platform!));
  expect(likeTemplate(templateOf(workloads.etcd)).metadata).toEqual({
    labels: { team: 'a' },
    annotations: { 'sidecar.istio.io/inject': 'false' },
  });
});

test.each([
  [{}, { runAsUser: 65532, fsGroup: 65532, fsGroupChangePolicy: 'OnRootMismatch' }],
  [{ runAsUser: 1000 }, { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, fsGroupChangePolicy: 'Always' }],
  [{ fsGroup: 2000 }, { runAsUser: 65532, fsGroup: 2000 }],
  [
    { runAsUser: 'platform', fsGroup: 2000 },
    { runAsUser: undefined, fsGroup: 2000 },
  ],
  [{ runAsUser: 'platform' }, { runAsUser: undefined, runAsGroup: undefined, fsGroup: undefined }],
])('%j: what is left to the platform is left out', (input, security) => {
  const found = podSecurity(parseSpec({ host: 'k.example.com', ...input }, 'the test'));
  expect({ runAsUser: undefined, runAsGroup: undefined, fsGroup: undefined, ...found }).toMatchObject(security);
});
