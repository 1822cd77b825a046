import { dump } from 'js-yaml';
import { expect, test } from 'vitest';
import { buildAddons } from '../../src/hosted/addons/addons.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { fixedPlane, withoutBytes } from './plane.ts';
import { specs } from './specs.ts';

const authorities = {
  ca: { certificate: 'THE CA\n', key: '' },
  'kubelet-serving-ca': { certificate: 'THE KUBELET CA\n', key: '' },
};

test.each(Object.entries(specs))('%s renders as it did (vitest --update writes it anew)', async (name, spec) => {
  const plane = await fixedPlane(spec);
  const [_record, ...infra] = renderPlane(plane).all();
  const text = [...infra.map(withoutBytes), ...buildAddons(spec, plane.addresses, authorities)]
    .map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`)
    .join('');
  await expect(text).toMatchFileSnapshot(`rendered/${name}.yaml`);
});
