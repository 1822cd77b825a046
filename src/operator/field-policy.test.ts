import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hostedControlPlaneSpec } from '../config/hosted-control-plane.ts';
import type { KubeObject } from '../kube/objects.ts';
import { policies } from './field-policy.ts';

interface Policy extends KubeObject {
  spec: { validations: { message: string }[] };
}

test('docs/operator.md names the fields that a tenant chooses; every other one, a new one too, needs an administrator', () => {
  const [ofFields] = policies({}, 'k8sk8s-system') as [Policy];
  const administrators = ofFields.spec.validations.flatMap(
    ({ message }) => /^spec\.(\w+) is the administrator's/.exec(message)?.[1] ?? [],
  );
  expect(administrators).toEqual(expect.arrayContaining(['etcdImage', 'apiServerArgs', 'nodeSelector', 'resources']));
  const [, said] = /chooses (`host`.*?`deletionPolicy`)\./s.exec(readFileSync('docs/operator.md', 'utf8'))!;
  const named = [...said!.replaceAll(/\(.*?\)/gs, '').matchAll(/`(\w+)`/g)].map(([, field]) => field!);
  const tenants = Object.keys(hostedControlPlaneSpec.shape).filter((field) => !administrators.includes(field));
  expect(named.sort()).toEqual(tenants.sort());
});
