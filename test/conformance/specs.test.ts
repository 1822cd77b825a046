import { expect, test } from 'vitest';
import { focusOf, parseSpecs, selectSpecs } from './specs.ts';

const listing = `
- testname: Deployment, rolling update
  codename: '[sig-apps] Deployment RollingUpdateDeployment should delete old pods and
    create new ones [Conformance]'
  file: test/e2e/apps/deployment.go
- testname: Taint, Pod Eviction on taint removal
  codename: '[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]'
  file: test/e2e/node/taints.go
`;

test('names are read whole, with their SIG and whether they run alone', () => {
  expect(parseSpecs(listing)).toEqual([
    {
      name: '[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones [Conformance]',
      sig: 'apps',
      serial: false,
    },
    expect.objectContaining({ sig: 'node', serial: true }),
  ]);
});

test('focus and skip choose by name', () => {
  const specs = parseSpecs(listing);
  expect(selectSpecs(specs, /sig-apps/)).toEqual([specs[0]]);
  expect(selectSpecs(specs, undefined, /Serial/)).toEqual([specs[0]]);
  expect(selectSpecs(specs, /sig-/, /./)).toEqual([]);
});

test('a focus fits one spec alone, brackets and dots taken literally', () => {
  const spec = { name: '[sig-api] a (b) v1.2 + c? [Conformance]', sig: 'api', serial: false };
  const focus = new RegExp(focusOf(spec));
  expect(focus.test(`Kubernetes e2e suite ${spec.name}`)).toBe(true);
  expect(focus.test(`Kubernetes e2e suite ${spec.name} more`)).toBe(false);
  expect(focus.test(`Kubernetes e2e suite ${spec.name.replace('.', 'x')}`)).toBe(false);
});
