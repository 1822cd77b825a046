import { expect, test } from 'vitest';
import { goModText, kubernetesGoMod, stagingModules } from './gomod.ts';
import { componentOf, components } from './recipes.ts';

const upstream = `module k8s.io/kubernetes

go 1.26.0

require (
	github.com/blang/semver/v4 v4.0.0
	k8s.io/api v0.0.0
	k8s.io/cri-api v0.0.0 // indirect
	k8s.io/kube-openapi v0.0.0-20260721132016-d427ff9ee9ad
	k8s.io/utils v0.0.0-20260626114624-be93311217bd
	k8s.io/klog/v2 v2.140.0
	sigs.k8s.io/yaml v1.6.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/sample-controller => ./staging/src/k8s.io/sample-controller
)
`;

test('staging modules are those without a version of their own', () => {
  expect(stagingModules(upstream)).toEqual(['k8s.io/api', 'k8s.io/cri-api', 'k8s.io/sample-controller']);
});

test('Kubernetes builds from a go.mod that takes staging modules from their releases', () => {
  expect(goModText(kubernetesGoMod('1.37.2', upstream, '1.20'))).toBe(`module sandbox.test/kubernetes

go 1.26.0

require (
	k8s.io/kubernetes v1.37.2
)

replace (
	k8s.io/api => k8s.io/api v0.37.2
	k8s.io/cri-api => k8s.io/cri-api v0.37.2
	k8s.io/sample-controller => k8s.io/sample-controller v0.37.2
)
`);
});

test('folders replace modules without a version', () => {
  const text = goModText(componentOf('flannel').goMod!('0.28.10'));
  expect(text).toContain('\tgithub.com/flannel-io/flannel v0.28.10\n');
  expect(text).toContain('\tgithub.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/vpc => ./vpc\n');
});

test('a module without requirements has no empty blocks', () => {
  expect(goModText(components.pause.goMod())).toBe('module sandbox.test/pause\n\ngo 1.26.0\n');
});
