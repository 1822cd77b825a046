import { expect, test } from 'vitest';
import { planImages } from './images.ts';

test('each image that can be made gets its recipe and all its tags; the others are named', () => {
  const { references, missing } = planImages(
    [
      'registry.k8s.io/e2e-test-images/agnhost:2.66.1',
      'registry.k8s.io/e2e-test-images/agnhost:2.55',
      'registry.k8s.io/pause:3.10.2',
      'registry.k8s.io/e2e-test-images/volume/nfs:1.6.0',
      'gcr.io/authenticated-image-pulling/agnhost:2.6',
      '',
    ].join('\n'),
  );
  expect(references).toEqual({
    agnhost: ['registry.k8s.io/e2e-test-images/agnhost:2.55', 'registry.k8s.io/e2e-test-images/agnhost:2.66.1'],
    pause: ['registry.k8s.io/pause:3.10.2'],
  });
  expect(missing).toEqual([
    'gcr.io/authenticated-image-pulling/agnhost:2.6',
    'registry.k8s.io/e2e-test-images/volume/nfs:1.6.0',
  ]);
});
