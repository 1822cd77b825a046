import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pauseImage } from '../../src/config/images.ts';
import { allImages } from '../../src/plane/all-images.ts';
import { specs } from './specs.ts';

test.each(Object.entries(specs))('the images of %s are those that its manifests have', (name, spec) => {
  const rendered = readFileSync(`test/golden/rendered/${name}.yaml`, 'utf8');
  const found = [...rendered.matchAll(/^ *(?:- )?image: ['"]?([^\s'"]+)/gm)].map(([, image]) => image!);
  const listed = allImages(spec).map(({ image }) => image);
  // No manifest names it: containerd's configuration does.
  expect(new Set(listed.filter((image) => image !== pauseImage(spec)))).toEqual(new Set(found));
});
