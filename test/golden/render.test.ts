import { dump } from 'js-yaml';
import { expect, test } from 'vitest';
import { buildAddons } from '../../src/hosted/addons.ts';
import { buildIngress, buildServices } from '../../src/plane/addresses.ts';
import { buildPolicies } from '../../src/plane/policies.ts';
import { buildControlPlane } from '../../src/plane/render.ts';
import { fixedPlane, withoutBytes } from './plane.ts';
import { specs } from './specs.ts';

const authorities = {
  ca: { certificate: 'THE CA\n', key: '' },
  'kubelet-serving-ca': { certificate: 'THE KUBELET CA\n', key: '' },
};

test.each(Object.entries(specs))('%s renders as it did (vitest --update writes it anew)', async (name, spec) => {
  const { record, addresses, storage, bundle } = await fixedPlane(spec);
  const { secrets, workloads } = buildControlPlane(record, spec, addresses, storage, bundle);
  const infra = [
    ...buildServices(record.planeId, spec),
    ...buildIngress(record.planeId, spec),
    ...secrets,
    ...buildPolicies(record.planeId, spec),
    ...workloads,
  ];
  const text = [...infra.map(withoutBytes), ...buildAddons(spec, addresses, authorities)]
    .map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`)
    .join('');
  await expect(text).toMatchFileSnapshot(`rendered/${name}.yaml`);
});
